/** A Unix socket whose queue is full: connect(2) says EAGAIN instead of waiting, and otherwise it is done at once. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { arms } from '../support/laboratory.js'
import { inWords, outcomeOf } from '../support/outcomes.js'
import { undici7 } from '../support/undicis.js'
import { closingListener } from '../support/upstream.js'

expectNoDescriptorLeft()

it('fails more requests at a time than it has room for, as with undici, and serves all of them later', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
  const path = join(directory, 'socket')
  const server = createServer(closingListener).listen({ path, backlog: 1 })
  await once(server, 'listening')
  onTestFinished(async () => {
    server.close()
    await once(server, 'close')
    rmSync(directory, { recursive: true })
  })
  const agents = arms.map(([, options]) => new RecyclingAgent({ ...options, socketPath: path }))
  for (const dispatcher of [new undici7.Agent({ connect: { socketPath: path } }), ...agents]) {
    onTestFinished(() => dispatcher.destroy())
    const send = async (): Promise<string> => inWords(await outcomeOf(dispatcher, { origin: 'http://name.test' }))
    // This thread is the one that takes connections from the queue, which it does not before it has sent them all.
    const outcomes = await Promise.all(Array.from({ length: 5 }, send))
    const served = '200 "hello world\\n" end'
    const refused = `! connect EAGAIN ${path}`
    expect(outcomes.map((words) => words.replace(/ - Local.*$/, ''))).toEqual([
      served,
      served,
      refused,
      refused,
      refused,
    ])
    for (let i = 0; i < 3; i++) expect(await send()).toBe(served)
  }
  for (const agent of agents) {
    await quiet(agent)
    const { fresh, closed, idle } = agent.stats.sockets
    expect({ open: fresh - closed, idle }).toEqual({ open: 0, idle: 0 })
  }
})
