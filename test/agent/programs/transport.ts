/**
 * A process where something may be in the way of recycling. The argument is JSON: what is in the way, the origin, and the
 * options of the agents that send a request each, one after the other. Prints what came of each, as a line of JSON.
 */
import { readFileSync } from 'node:fs'
import Module from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { RecyclingAgent } from '../../../src/index.js'
import { native } from '../../../src/sys/native.js'

const EAFNOSUPPORT = 97
const FIN_TIMEOUT_MS = 5_000

const { obstacle, origin, agents } = JSON.parse(process.argv[2]!)

if (obstacle === 'no koffi') {
  const loader = Module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string }
  const resolve = loader._resolveFilename
  loader._resolveFilename = (request, ...rest) => {
    if (request === 'koffi') throw Object.assign(new Error("Cannot find module 'koffi'"), { code: 'MODULE_NOT_FOUND' })
    return resolve(request, ...rest)
  }
} else if (obstacle === 'another platform') {
  Object.defineProperty(process, 'platform', { value: 'darwin' })
} else if (obstacle === 'a kernel that refuses') {
  const table = native()
  const { connect, errno } = table
  let hasRefused = false
  table.connect = (fd, address, length) => {
    // AF_UNSPEC
    hasRefused = address[0] === 0 && address[1] === 0
    return hasRefused ? -1 : connect(fd, address, length)
  }
  table.errno = () => (hasRefused ? EAFNOSUPPORT : errno())
}

const warnings: unknown[] = []
process.on('warning', (warning) => {
  const { name, code, message } = warning as Error & { code?: string }
  warnings.push({ name, code, message })
})

for (const options of agents) {
  const result: Record<string, unknown> = {}
  try {
    const agent = new RecyclingAgent(options)
    const { body } = await agent.request({ origin, path: '/', method: 'GET' })
    result.answer = await body.text()
    // It is dissolved when the upstream's FIN has come, unless the agent was closed by then.
    const deadline = performance.now() + FIN_TIMEOUT_MS
    while (agent.stats.sockets.leased > 0 && performance.now() < deadline) await setTimeout(1)
    result.recycles = agent.stats.sockets.dissolved > 0
    await agent.close()
  } catch (error) {
    result.thrown = (error as Error).message
  }
  // Warnings come a tick later.
  await new Promise((resolve) => setImmediate(resolve))
  result.warnings = warnings.splice(0)
  result.hasKoffi = /koffi[^\n]*\.node$/m.test(readFileSync('/proc/self/maps', 'latin1'))
  console.log(JSON.stringify(result))
}
