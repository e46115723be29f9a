/** Processes of node:cluster, with an agent each, that are ended under load. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Program } from '../support/child.js'
import { startNodeUpstream, type Upstream } from '../support/upstream.js'

let program: Program
let upstream: Upstream

beforeAll(async () => {
  program = await Program.from(new URL('./programs/cluster.ts', import.meta.url))
  upstream = await startNodeUpstream((request, response) => {
    setTimeout(() => response.end(request.url), 2)
  })
})

afterAll(async () => {
  program.delete()
  await upstream.close()
})

/** What becomes of connections that nobody accepts, or whose process is gone; with undici's Agent the same is seen. */
const FAILURES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT']

it.each([
  ['disconnect', '0 '],
  ['kill', ' SIGTERM'],
])('end as any other on %s(), and each request is answered or fails', { timeout: 40_000 }, async (ending, end) => {
  const { code, signal, stdout, stderr } = await program.run({ args: [ending, upstream.origin], timeoutMs: 35_000 })
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  const { ends, outcomes, leased, idle } = JSON.parse(stdout)
  expect(ends).toEqual([end, end, end, end])
  const { answered, ...others } = outcomes
  expect(answered).toBeGreaterThanOrEqual(200)
  expect(Object.keys(others).filter((outcome) => !FAILURES.includes(outcome))).toEqual([])
  expect({ leased, idle }).toEqual({ leased: 0, idle: 0 })
})
