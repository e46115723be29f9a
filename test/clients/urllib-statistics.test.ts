/**
 * What urllib tells of sockets and times, which it has from undici's diagnostics channels. It knows its requests there by
 * the symbol under which the first one that it saw, in a process, had its handler: hence a file of its own.
 */
import { request } from 'urllib'
import { expect, it } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { startService } from '../support/service.js'

expectNoDescriptorLeft()

it('tells of the socket and the times of each request', async () => {
  const ports: (number | undefined)[] = []
  const service = await startService((_request, response) => setTimeout(() => response.end('ok'), 5), {
    beforeBody: ({ socket }) => ports.push(socket.remotePort),
  })
  const dispatcher = recyclingAgent()
  const options = { dispatcher, method: 'POST', data: 'sent' } as object
  const answers = [(await request(service.origin, options)).res, (await request(service.origin, options)).res]
  const [first, second] = answers.map(({ socket }) => socket)
  const shown = { localAddress: '127.0.0.1', localPort: ports[0], remoteAddress: '127.0.0.1', remotePort: service.port }
  expect(first).toMatchObject({ ...shown, remoteFamily: 'IPv4', handledRequests: 1, handledResponses: 1 })
  expect(second).toMatchObject({ ...shown, id: first!.id, handledRequests: 2, handledResponses: 2 })
  expect(first!.bytesRead).toBeGreaterThan(0)
  for (const { timing } of answers) {
    const { queuing, requestHeadersSent, requestSent, waiting, contentDownload } = timing
    const inOrder = [0, queuing, requestHeadersSent, requestSent, waiting, contentDownload]
    expect([...inOrder].sort((a, b) => a - b)).toEqual(inOrder)
    expect(waiting).toBeGreaterThan(0)
  }
  expect(answers[0]!.timing.connected).toBeGreaterThan(0)
  expect(answers[1]!.timing.connected).toBe(0)
  await dispatcher.close()
})

it('tells of the socket of a request that has failed', async () => {
  const service = await startService((_request, response) => response.destroy())
  const dispatcher = recyclingAgent()
  const failure = await request(service.origin, { dispatcher, socketErrorRetry: 0 } as object).catch((error) => error)
  expect(failure.socket).toMatchObject({ remotePort: service.port, localAddress: '127.0.0.1', handledResponses: 0 })
  expect(failure.socket.localPort).toBeGreaterThan(0)
  await dispatcher.close()
})
