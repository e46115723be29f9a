import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'

const server = createServer((_request, response) => response.end('hello'))
let origin: string

beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(() => void server.close())

it('gives back the connection of a request that could not be written when its idle time is over', async () => {
  const agent = new RecyclingAgent({ keepAliveTimeout: 20 })
  const disconnected = once(agent, 'disconnect')
  const headers = { 'content-length': '3' }
  const request = agent.request({ origin, path: '/', method: 'POST', headers, body: 'longer than that' })
  await expect(request).rejects.toMatchObject({ code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' })
  const [, , error] = await disconnected
  expect(error).toMatchObject({ code: 'UND_ERR_INFO', message: 'socket idle timeout' })
  await agent.close()
  expect(agent.stats.sockets.leased).toBe(0)
})
