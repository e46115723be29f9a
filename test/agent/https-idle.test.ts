/** Idle TLS connections, whose end may be there before Node has seen it. */
import { beforeAll, expect, it } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { heldUpServer } from '../support/held-up-server.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1'])
})

expectNoDescriptorLeft()

it.each(['native', 'net'] as const)(
  'are not used when the server has ended them, even if the event loop was held up since (%s)',
  async (transport) => {
    const plain = await rawServer(answering(ok()))
    const secure = await heldUpServer(certificate)
    const agent = recyclingAgent({ transport, connect: { ca } })
    expect(await get(agent, secure.origin)).toBe('0')
    const { handler, done } = recording('new')
    // From within a callback of the agent's own, nothing was received between the hold-up and the request.
    const { handler: first } = recording('new', {
      end() {
        secure.endConnections()
        agent.dispatch({ origin: secure.origin, path: '/', method: 'GET' }, handler)
      },
    })
    agent.dispatch({ origin: plain.origin, path: '/', method: 'GET' }, first)
    expect((await done).slice(-2)).toEqual([
      ['data', '1'],
      ['end', []],
    ])
  },
)
