/**
 * Timeouts. undici's clock for them ticks every half a second, so that it is late by up to one: only what happens is
 * compared, not when, and all scenarios pass their time at once.
 */
import { describe } from 'vitest'
import { answering, ok, type RawPeer } from '../support/raw-server.js'
import { HEAD } from './answers.js'
import { type AnyOptions, type Play, turns, twinsAtOnce } from './twin.js'

const TIMEOUT = 100

/** A request that is given up. */
const givenUp =
  (serve: (peer: RawPeer) => unknown, agent: AnyOptions, request: AnyOptions = {}): Play =>
  async (stage) => {
    const { origin } = await stage.server(serve)
    await stage.send(stage.agent({ connections: 1, ...agent }), { origin, ...request }).done
    await stage.noted('disconnect')
  }

const writing =
  (bytes: string) =>
  async (peer: RawPeer): Promise<void> => {
    await peer.request()
    peer.write(bytes)
  }

/** A name that nobody finds. */
const unfound =
  (agent: AnyOptions, origin: string, connect: AnyOptions = {}): Play =>
  async (stage) => {
    const made = stage.agent({ connections: 1, ...agent, connect: { lookup: () => {}, ...connect } })
    await stage.send(made, { origin }).done
    await stage.noted('connectionError')
  }

const silent = (): void => {}
const sized = `${HEAD}content-length: 9\r\n\r\n`

describe('timeouts', () => {
  twinsAtOnce('of heads, bodies and connections', {
    'headersTimeout of the agent': [givenUp(silent, { headersTimeout: TIMEOUT })],
    'headersTimeout of the request, in place of the agent\u2019s': [
      givenUp(silent, { headersTimeout: 60_000 }, { headersTimeout: TIMEOUT }),
    ],
    'headersTimeout within the head': [givenUp(writing(`${HEAD}a: b\r\n`), { headersTimeout: TIMEOUT })],
    'headersTimeout behind an informational response': [
      givenUp(writing('HTTP/1.1 103 X\r\n\r\n'), { headersTimeout: TIMEOUT }),
    ],
    'headersTimeout of a POST': [givenUp(silent, { headersTimeout: TIMEOUT }, { method: 'POST', body: 'x' })],
    'headersTimeout fails the first of a queue, the next is served': [
      async (stage) => {
        const { origin } = await stage.server((peer) => (peer.index === 0 ? undefined : answering(ok())(peer)))
        const agent = stage.agent({ connections: 1, headersTimeout: TIMEOUT })
        const exchanges = [stage.send(agent, { origin }), stage.send(agent, { origin, path: '/next' })]
        for (const { done } of exchanges) await done
        await turns()
      },
    ],
    'bodyTimeout of the agent': [givenUp(writing(`${sized}abc`), { bodyTimeout: TIMEOUT })],
    'bodyTimeout of the request, with nothing of the body': [givenUp(writing(sized), {}, { bodyTimeout: TIMEOUT })],
    'bodyTimeout of a close-delimited body': [givenUp(writing(`${HEAD}\r\nabc`), {}, { bodyTimeout: TIMEOUT })],
    'bodyTimeout within a chunk': [
      givenUp(writing(`${HEAD}transfer-encoding: chunked\r\n\r\n5\r\nabc`), { bodyTimeout: TIMEOUT }),
    ],
    'bodyTimeout does not pass while the handler pauses': [
      async (stage) => {
        const { origin } = await stage.server(writing(`${sized}123456789`))
        const agent = stage.agent({ connections: 1, bodyTimeout: TIMEOUT })
        const { done } = stage.send(
          agent,
          { origin },
          {
            head(flow) {
              flow.pause()
              setTimeout(() => flow.resume(), 1500)
            },
          },
        )
        await done
      },
    ],
    'connectTimeout of the agent': [unfound({ connectTimeout: TIMEOUT }, 'http://name.test:81')],
    'connectTimeout as an option of connect': [unfound({}, 'http://name.test', { timeout: TIMEOUT })],
  })
})
