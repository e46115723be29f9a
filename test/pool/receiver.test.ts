/** What was received while its handler paused. */
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

describe.each(dispatchers)('%s', (_name, make) => {
  it('fails a response for bytes that came while it was paused when it is resumed, behind what is sound', async () => {
    const server = await rawServer(async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nsound\r\nno chunk\r\n')
    })
    const { handler, done } = recording('new', {
      head(flow) {
        flow.pause()
        setImmediate(() => flow.resume())
      },
    })
    make().dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
    const events = await done
    expect(events.at(-2)).toEqual(['data', 'sound'])
    expect(events.at(-1)?.slice(0, 2)).toEqual(['error', 'HTTPParserError'])
    await server.peers[0]!.ended()
  })
})
