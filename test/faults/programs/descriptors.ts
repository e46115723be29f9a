/**
 * A process that is out of descriptors. Prints what its requests come to, as JSON.
 *
 * Argument, as JSON: what is asked of it, see {@link Task}.
 */
import { closeSync, openSync } from 'node:fs'
import { Agent, type Dispatcher } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'
import { native } from '../../../src/sys/native.js'
import { countDescriptors } from '../../support/descriptors.js'
import { quiet } from '../../support/exchange.js'

export interface Task {
  scenario: 'requests' | 'construction'
  /** `default`: an agent that is told no transport; `lent`: one whose TLS is Node's. */
  client: 'native' | 'lent' | 'net' | 'undici' | 'default'
  origin: string
  ca: string
  /** How many descriptors there are left. */
  free: number
}

const task: Task = JSON.parse(process.argv[2]!)
const REQUESTS = 6

const taken: number[] = []

/** Takes all descriptors but so many. */
function leave(free: number): void {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
  }
  for (let i = 0; i < free; i++) closeSync(taken.pop()!)
}

function giveBack(): void {
  for (const fd of taken.splice(0)) closeSync(fd)
}

async function outcome(dispatcher: Dispatcher): Promise<unknown> {
  try {
    const { body } = await dispatcher.request({ origin: task.origin, path: '/', method: 'GET' })
    return await body.text()
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    return `${syscall} ${code}`
  }
}

function newAgent(): Dispatcher {
  const options = { connect: { ca: task.ca } }
  if (task.client === 'undici') return new Agent(options)
  if (task.client === 'lent') return new RecyclingAgent({ ...options, transport: 'native', tlsTransport: 'node' })
  return new RecyclingAgent(task.client === 'default' ? options : { ...options, transport: task.client })
}

const settled = async (agent: Dispatcher): Promise<void> => {
  if (agent instanceof RecyclingAgent) await quiet(agent)
  else await new Promise((resolve) => setTimeout(resolve, 100))
}

/** More requests at a time than there are descriptors for; then one after the other; then with room again. */
async function requests(): Promise<object> {
  const agent = newAgent()
  // What a thread keeps is opened by the first use.
  const first = await outcome(agent)
  await settled(agent)
  const idle = agent instanceof RecyclingAgent ? agent.stats.sockets.idle : 0
  const before = countDescriptors() - idle
  leave(task.free)
  const atOnce = await Promise.all(Array.from({ length: REQUESTS }, () => outcome(agent)))
  await settled(agent)
  const afterwards = []
  for (let i = 0; i < 3; i++) {
    afterwards.push(await outcome(agent))
    await settled(agent)
  }
  giveBack()
  const withRoom = await Promise.all(Array.from({ length: REQUESTS }, () => outcome(agent)))
  await settled(agent)
  const stats = agent instanceof RecyclingAgent ? agent.stats : null
  const leased = stats?.sockets.leased ?? 0
  await agent.close()
  await settled(agent)
  return { first, atOnce, afterwards, withRoom, leased, left: countDescriptors() - before }
}

/** The first agents of a thread are made when there is nothing left; then another one, with room. */
async function construction(): Promise<object> {
  const warnings: unknown[] = []
  process.on('warning', ({ message }) => warnings.push(message))
  const thrown: unknown[] = []
  const agents: RecyclingAgent[] = []
  for (let i = 0; i < 2; i++) {
    leave(task.free)
    try {
      agents.push(new RecyclingAgent(task.client === 'native' ? { transport: 'native' } : {}))
    } catch (error) {
      const { code, syscall } = error as NodeJS.ErrnoException
      thrown.push(`${syscall} ${code}`)
    }
    giveBack()
    // Loads koffi, so that the next one comes as far as its epoll instance.
    native()
  }
  agents.push(new RecyclingAgent())
  const answers = []
  for (const agent of agents) answers.push(await outcome(agent))
  for (const agent of agents) await settled(agent)
  const recycles = agents.map((agent) => agent.stats.sockets.dissolved > 0)
  for (const agent of agents) await agent.close()
  return { thrown, answers, recycles, warnings }
}

console.log(JSON.stringify(await (task.scenario === 'requests' ? requests() : construction())))
