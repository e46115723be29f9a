/** close(), destroy() and the statistics. */

import type { Dispatcher } from 'undici'
import { describe } from 'vitest'
import { answering, ok, type RawPeer } from '../support/raw-server.js'
import { describeError, type Exchange } from './recorder.js'
import { type AnyOptions, type Play, type Stage, turns, twin } from './twin.js'

type Agent = Dispatcher & { closed: boolean; destroyed: boolean; stats: Record<string, unknown> }
const agentOf = (stage: Stage, options: AnyOptions = { connections: 1 }): Agent =>
  stage.agent(options) as unknown as Agent
const facts = (stage: Stage, agent: Agent): void => stage.note('life', 'is', agent.closed, agent.destroyed)
/** Notes what comes of a promise. */
const settling = async (stage: Stage, what: string, promise: Promise<unknown>): Promise<void> => {
  try {
    stage.note('life', what, 'resolved', await promise)
  } catch (error) {
    stage.note('life', what, 'rejected', ...describeError(error))
  }
}

interface Busy {
  agent: Agent
  exchanges: Exchange[]
  /** Lets the server answer everything. */
  release(): void
}

/** An agent with one request on the wire and others that wait. */
async function busy(stage: Stage, waiting: number, options?: AnyOptions): Promise<Busy> {
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const { origin, peer } = await stage.server(async (served: RawPeer) => {
    while ((await served.request()) !== null) {
      await released
      served.write(ok())
    }
  })
  const agent = agentOf(stage, options)
  const exchanges = Array.from({ length: waiting + 1 }, (_, i) => stage.send(agent, { origin, path: `/${i}` }))
  const first = await peer(0)
  while (first.requests.length === 0) await turns(1)
  return { agent, exchanges, release }
}

describe('close', () => {
  twin('of an idle agent', async (stage) => {
    const agent = agentOf(stage)
    const closed = settling(stage, 'close', agent.close())
    stage.note('life', 'closed', agent.closed)
    await closed
    facts(stage, agent)
  })
  twin('of an agent with an idle connection', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = agentOf(stage)
    await stage.send(agent, { origin }).done
    await turns(5)
    await settling(stage, 'close', agent.close())
    facts(stage, agent)
  })
  for (const waiting of [0, 2]) {
    twin(
      `waits for a request on the wire and ${waiting} that wait`,
      async (stage) => {
        const { agent, exchanges, release } = await busy(stage, waiting)
        const closed = settling(stage, 'close', agent.close())
        facts(stage, agent)
        await stage.send(agent, { origin: 'http://127.0.0.1:1' }).done
        release()
        for (const { done } of exchanges) await done
        await closed
        facts(stage, agent)
      },
      { free: true },
    )
  }
  twin(
    'waits for a response that is paused',
    async (stage) => {
      const { origin } = await stage.server(answering(ok()))
      const agent = agentOf(stage)
      const exchange = stage.send(agent, { origin }, { head: (flow) => flow.pause() })
      await stage.noted('head')
      const closed = settling(stage, 'close', agent.close())
      await turns(5)
      facts(stage, agent)
      exchange.flow.resume()
      await closed
    },
    { free: true },
  )
  twin('calls back with nulls', async (stage) => {
    const agent = agentOf(stage)
    await new Promise<void>((resolve) => {
      const callback = (...said: unknown[]): void => {
        stage.note('life', 'called back', ...said)
        resolve()
      }
      stage.note('life', 'returned', (agent.close as (callback: unknown) => unknown)(callback))
    })
  })
  twin(
    'twice at once is once',
    async (stage) => {
      const { agent, exchanges, release } = await busy(stage, 0)
      const closed = [settling(stage, 'first', agent.close()), settling(stage, 'second', agent.close())]
      release()
      for (const { done } of exchanges) await done
      await Promise.all(closed)
    },
    { free: true },
  )
  twin('after close', async (stage) => {
    const agent = agentOf(stage)
    await settling(stage, 'first', agent.close())
    await settling(stage, 'second', agent.close())
  })
  twin('after destroy', async (stage) => {
    const agent = agentOf(stage)
    await settling(stage, 'destroy', agent.destroy())
    await settling(stage, 'close', agent.close())
  })
  for (const callback of ['x', 5, null, {}]) {
    for (const method of ['close', 'destroy'] as const) {
      twin(`${method} with ${JSON.stringify(callback)} as callback`, async (stage) => {
        const agent = agentOf(stage)
        const call = agent[method] as (...given: unknown[]) => unknown
        try {
          const returned = method === 'close' ? call.call(agent, callback) : call.call(agent, null, callback)
          stage.note('life', 'returned', returned instanceof Promise ? 'a promise' : returned)
          if (returned instanceof Promise) await settling(stage, method, returned)
        } catch (error) {
          stage.note('life', 'threw', ...describeError(error))
        }
      })
    }
  }
})

describe('destroy', () => {
  for (const waiting of [0, 2]) {
    for (const reason of [undefined, new Error('over')]) {
      twin(
        `fails a request on the wire and ${waiting} that wait with ${reason}`,
        async (stage) => {
          const { agent, exchanges } = await busy(stage, waiting)
          const destroyed = settling(stage, 'destroy', reason === undefined ? agent.destroy() : agent.destroy(reason))
          facts(stage, agent)
          stage.send(agent, { origin: 'http://127.0.0.1:1' })
          for (const exchange of exchanges) {
            await exchange.done
            stage.note(exchange.name, 'same', exchange.error === reason)
          }
          await destroyed
          facts(stage, agent)
        },
        { free: true },
      )
    }
  }
  twin(
    'fails what is queued at once',
    async (stage) => {
      const { agent } = await busy(stage, 2)
      const destroyed = agent.destroy()
      stage.note('queued', 'failed by now', stage.log.filter(([who, what]) => what === 'error' && who !== 'a').length)
      await destroyed
    },
    { free: true },
  )
  twin('ends an idle connection', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = agentOf(stage)
    await stage.send(agent, { origin }).done
    await turns(5)
    await settling(stage, 'destroy', agent.destroy(new Error('over')))
  })
  twin(
    'gives up a connection that is being made',
    async (stage) => {
      const { origin } = await stage.server(answering(ok()))
      const agent = agentOf(stage)
      const { done } = stage.send(agent, { origin })
      await settling(stage, 'destroy', agent.destroy())
      await done
    },
    { free: true },
  )
  twin(
    'gives up a name that is being looked up',
    async (stage) => {
      const agent = agentOf(stage, { connections: 1, connect: { lookup: () => {} } })
      const { done } = stage.send(agent, { origin: 'http://name.test' })
      await settling(stage, 'destroy', agent.destroy())
      await done
    },
    { free: true },
  )
  twin(
    'after close has begun',
    async (stage) => {
      const { agent, exchanges } = await busy(stage, 1)
      void settling(stage, 'close', agent.close())
      await settling(stage, 'destroy', agent.destroy())
      stage.note('requests', 'over', exchanges.filter(({ error }) => error !== undefined).length)
      await turns(5)
    },
    { free: true },
  )
  twin('twice', async (stage) => {
    const agent = agentOf(stage)
    await Promise.all([settling(stage, 'first', agent.destroy()), settling(stage, 'second', agent.destroy())])
    await settling(stage, 'third', agent.destroy())
  })
  twin('calls back with nulls', async (stage) => {
    const agent = agentOf(stage)
    for (const given of [[], [new Error('over')], [null]]) {
      await new Promise<void>((resolve) => {
        const callback = (...said: unknown[]): void => {
          stage.note('life', 'called back', ...said)
          resolve()
        }
        stage.note('life', 'returned', (agent.destroy as (...given: unknown[]) => unknown)(...given, callback))
      })
    }
  })
  twin(
    'aborts a response that is being read',
    async (stage) => {
      const { origin } = await stage.server(answering('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'))
      const agent = agentOf(stage)
      const { done } = stage.send(agent, { origin })
      await stage.noted('data')
      await settling(stage, 'destroy', agent.destroy(new Error('over')))
      await done
    },
    { free: true },
  )
})

describe('stats', () => {
  /** As undici's types have it: without the prototype's getters and what is ours only. */
  const noted = (stage: Stage, when: string, agent: Agent): void => {
    for (const [origin, stats] of Object.entries(agent.stats)) {
      const { connected, free, pending, queued, running, size } = stats as Record<string, unknown>
      stage.note('stats', when, origin, { connected, free, pending, queued, running, size })
    }
    stage.note('stats', when, Object.keys(agent.stats).length)
  }
  const observed =
    (options: AnyOptions, count: number): Play =>
    async (stage) => {
      const { agent, exchanges, release } = await busy(stage, count - 1, options)
      await turns(5)
      noted(stage, 'busy', agent)
      release()
      for (const { done } of exchanges) await done
      await turns(5)
      noted(stage, 'idle', agent)
    }
  for (const connections of [2, 3]) {
    for (const count of [1, 2, 5])
      twin(`of ${count} requests on up to ${connections} connections`, observed({ connections }, count), { free: true })
  }
  for (const count of [1, 3]) twin(`of ${count} requests without limit`, observed({}, count), { free: true })
  twin('of one connection', observed({ connections: 1 }, 2), { free: true })
  twin('of an agent that has done nothing', async (stage) => noted(stage, 'new', agentOf(stage, {})))
  twin('within the first call', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = agentOf(stage, { connections: 2 })
    const { done } = stage.send(agent, { origin })
    noted(stage, 'dispatched', agent)
    await done
  })
  twin('of an origin whose connection has ended', async (stage) => {
    const { origin } = await stage.server(answering(ok('ok', 'connection: close\r\n')))
    const agent = agentOf(stage, { connections: 2 })
    await stage.send(agent, { origin }).done
    await stage.noted('disconnect')
    noted(stage, 'ended', agent)
  })
})
