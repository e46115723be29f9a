/** What OpenSSL has allocated for a thread is freed when the thread is terminated. */
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { Program } from '../support/child.js'

const CONNECTIONS = 150
/** Before the first look: what a process allocates only once, or for two threads at most. */
const FIRST_WORKERS = 4
const WORKERS = 8
/** In bytes. Where they are not freed it is over 40,000, and where their sessions are not, 8,000 more than otherwise. */
const MOST_PER_CONNECTION = 20_000

it('frees the TLS connections of workers that are terminated', { timeout: 60_000 }, async () => {
  const server = await Program.from(new URL('../soak/programs/gathering-upstream.ts', import.meta.url))
  const program = await Program.from(new URL('./programs/ended-workers.ts', import.meta.url))
  const upstream = server.start({ args: ['secure'] })
  try {
    const [port] = await once(upstream, 'message')
    const args = [`https://127.0.0.1:${port}`, CONNECTIONS, FIRST_WORKERS, WORKERS].map(String)
    const { code, stdout, stderr } = await program.run({ args, timeoutMs: 50_000 })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(Number(stdout)).toBeLessThan(MOST_PER_CONNECTION)
  } finally {
    upstream.disconnect()
    server.delete()
    program.delete()
  }
})
