/** A process that ends with requests in flight ends like any other: at once, with its code or by its signal. */

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import { Program } from '../support/child.js'
import type { BusyEnd } from './programs/busy-end.js'

/** An agent that keeps a process alive does it for longer: for as long as a request takes, or a connection is idle. */
const PROMPTLY_MS = 3500

/** Never answers /silent, nor reads what is sent there. */
const listener: RequestListener = (request, response) => {
  if (request.url !== '/silent') response.end('ok')
}

async function originOf(server: Server, protocol: string): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

let program: Program
let authority: Authority
let certificate: Certificate

beforeAll(async () => {
  program = await Program.from(new URL('./programs/busy-end.ts', import.meta.url))
  authority = await Authority.create()
  certificate = await authority.issue(['127.0.0.1'])
})

afterAll(() => program.delete())

describe.each(['plain', 'tls', 'upload'] as const)('a process with requests in flight (%s)', (kind) => {
  it.each([
    ['calls process.exit', 'exit', { code: 3, signal: null }, ''],
    ['throws', 'throw', { code: 1, signal: null }, ''],
    ['gets SIGTERM', 'SIGTERM', { code: null, signal: 'SIGTERM' }, ''],
    ['gets SIGINT', 'SIGINT', { code: null, signal: 'SIGINT' }, ''],
    ['destroys its agent on SIGTERM', 'handled', { code: 0, signal: null }, 'UND_ERR_DESTROYED'],
  ] as const)('ends when it %s', async (_what, ending, end, failures) => {
    const server = kind === 'tls' ? createSecureServer(certificate, listener) : createServer(listener)
    const origin = await originOf(server, kind === 'tls' ? 'https' : 'http')
    const experiment: BusyEnd = { kind, ending, origin, ca: authority.ca }
    const { code, signal, stdout, stderr } = await program.run({ args: [JSON.stringify(experiment)] })
    const endedAt = Date.now()
    const [time, failed = ''] = stdout.split(' ')
    server.close()
    server.closeAllConnections()
    expect({ code, signal, failed }).toEqual({ ...end, failed: failures })
    expect(endedAt - Number(time)).toBeLessThan(PROMPTLY_MS)
    if (ending === 'throw') expect(stderr).toMatch(/Error: the end\n/)
    else expect(stderr).toBe('')
  })
})
