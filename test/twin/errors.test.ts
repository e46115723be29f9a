/** Connections that cannot be made, the errors' properties, and the events around them. */
import { createServer } from 'node:net'
import { errors } from 'undici'
import { describe } from 'vitest'
import { answering, ok } from '../support/raw-server.js'
import { answer } from './answers.js'
import { describeError, type Exchange } from './recorder.js'
import { type AnyOptions, type Play, type Stage, turns, twin } from './twin.js'

type Lookup = (
  host: string,
  options: { all?: boolean },
  callback: (error: Error | null, addresses?: unknown, family?: number) => void,
) => void

const names = (stage: Stage, { error }: Exchange): void => {
  const { name, message, stack, ...rest } = error as Error & Record<string, unknown>
  void stack
  stage.note('error', 'is', name, message, error instanceof Error, error instanceof errors.UndiciError)
  // The socket's own numbers are of each run.
  const { socket, cause, code, ...said } = rest
  stage.note(
    'error',
    'has',
    Object.fromEntries(Object.entries(said).sort()),
    String(code).startsWith('HPE_') ? undefined : code,
  )
  if (cause !== undefined) stage.note('error', 'cause', ...describeError(cause))
  if (error instanceof AggregateError) for (const one of error.errors) stage.note('error', 'one', ...describeError(one))
  if (socket) {
    const { localPort, remotePort, timeout, ...info } = socket as Record<string, unknown>
    stage.note('error', 'socket', Object.entries(info).sort(), typeof localPort, `:${remotePort}`, timeout)
  }
}

/** A port on which nobody listens. */
async function closedPort(stage: Stage): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  stage.ports.push(port)
  return port
}

const lookingUp =
  (lookup: Lookup, extra: AnyOptions = {}): Play =>
  async (stage) => {
    const port = await closedPort(stage)
    const agent = stage.agent({ ...extra, connect: { lookup } })
    const exchange = stage.send(agent, { origin: `http://name.test:${port}` })
    await exchange.done
    names(stage, exchange)
    await stage.noted('connectionError')
  }
const several =
  (...addresses: string[]): Lookup =>
  (_host, { all }, callback) => {
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (all) callback(null, found)
    else callback(null, found[0]!.address, found[0]!.family)
  }

describe('a connection that cannot be made', () => {
  twin('for a refusal', async (stage) => {
    const exchange = stage.send(stage.agent(), { origin: `http://127.0.0.1:${await closedPort(stage)}` })
    await exchange.done
    names(stage, exchange)
    await stage.noted('connectionError')
  })
  twin('for a refusal on IPv6', async (stage) => {
    const exchange = stage.send(stage.agent(), { origin: `http://[::1]:${await closedPort(stage)}` })
    await exchange.done
    names(stage, exchange)
    await stage.noted('connectionError')
  })
  twin(
    'for a name that does not resolve',
    lookingUp((_host, _options, callback) => {
      callback(
        Object.assign(new Error('getaddrinfo ENOTFOUND name.test'), {
          code: 'ENOTFOUND',
          syscall: 'getaddrinfo',
          hostname: 'name.test',
        }),
      )
    }),
  )
  twin(
    'for a lookup that throws',
    lookingUp(() => {
      throw new Error('lookup failed')
    }),
  )
  twin('for one address of one family', lookingUp(several('127.0.0.1')))
  twin('for several addresses', lookingUp(several('127.0.0.1', '127.0.0.2')))
  twin('for addresses of both families', lookingUp(several('127.0.0.1', '::1')))
  twin(
    'for several addresses, one at a time only',
    lookingUp(several('127.0.0.1', '127.0.0.2'), { autoSelectFamily: false }),
  )
  twin('for a local address that is not here', async (stage) => {
    const exchange = stage.send(stage.agent({ localAddress: '192.0.2.1' }), {
      origin: `http://127.0.0.1:${await closedPort(stage)}`,
    })
    await exchange.done
    const { code, syscall } = exchange.error as NodeJS.ErrnoException
    stage.note('error', 'is', code, syscall)
    await stage.noted('connectionError')
  })
  twin('fails all that are queued, one by one', async (stage) => {
    const agent = stage.agent({ connections: 1 })
    const origin = `http://127.0.0.1:${await closedPort(stage)}`
    const exchanges = [1, 2, 3].map(() => stage.send(agent, { origin }))
    for (const { done } of exchanges) await done
    stage.note(
      'errors',
      'are the same',
      exchanges.every(({ error }) => error === exchanges[0]!.error),
    )
    await turns(5)
  })
  twin(
    'fails what waits in a pool of two connections',
    async (stage) => {
      const agent = stage.agent({ connections: 2 })
      const origin = `http://127.0.0.1:${await closedPort(stage)}`
      const exchanges = [1, 2, 3, 4].map(() => stage.send(agent, { origin }))
      for (const { done } of exchanges) await done
      await turns(10)
    },
    { free: true },
  )
  twin('and then one that can', async (stage) => {
    const agent = stage.agent({ connections: 1 })
    const port = await closedPort(stage)
    await stage.send(agent, { origin: `http://127.0.0.1:${port}` }).done
    await stage.noted('connectionError')
    await turns(5)
    await stage.server(answering(ok()), { port })
    await stage.send(agent, { origin: `http://127.0.0.1:${port}` }).done
  })
})

describe('an error', () => {
  const answers: [string, Parameters<typeof answer>[0], AnyOptions?][] = [
    ['of a FIN', { bytes: '', ending: 'fin' }],
    ['of a reset', { bytes: '', ending: 'reset' }],
    ['of a FIN within a body', { bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc', ending: 'fin' }],
    [
      'of an announced FIN within a body',
      { bytes: 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\nabc', ending: 'fin' },
    ],
    ['of the parser', { bytes: 'SSH-2.0-OpenSSH\r\n', ending: 'fin' }],
    ['of 100 Continue', { bytes: 'HTTP/1.1 100 Continue\r\n\r\n', ending: 'fin' }],
    ['of a head that is too large', { bytes: ok('', `x: ${'x'.repeat(100)}\r\n`) }, { maxHeaderSize: 50 }],
    ['of a body that is too large', { bytes: ok('x'.repeat(100)) }, { maxResponseSize: 50 }],
  ]
  for (const [what, served, options] of answers) {
    twin(`${what} has undici\u2019s properties`, async (stage) => {
      const { origin } = await stage.server(answer(served))
      const exchange = stage.send(stage.agent({ connections: 1, ...options }), { origin })
      await exchange.done
      names(stage, exchange)
    })
  }
  twin(
    'of an abort has undici\u2019s properties',
    async (stage) => {
      const { origin } = await stage.server(() => {})
      const exchange = stage.send(stage.agent(), { origin }, { start: ({ abort }) => abort() })
      await exchange.done
      names(stage, exchange)
    },
    { abandons: true, wire: false },
  )
  for (const [what, act] of [
    ['a closed agent', (agent: { close(): Promise<void> }) => agent.close()],
    ['a destroyed agent', (agent: { destroy(): Promise<void> }) => agent.destroy()],
  ] as const) {
    twin(`of ${what} has undici\u2019s properties`, async (stage) => {
      const agent = stage.agent()
      await act(agent)
      const exchange = stage.send(agent, { origin: 'http://127.0.0.1:1' })
      names(stage, exchange)
    })
  }
  for (const [what, request] of [
    ['a bad path', { path: 5 }],
    ['expect', { headers: { expect: 'x' } }],
    ['a query twice', { path: '/?a', query: { b: 1 } }],
  ] as [string, AnyOptions][]) {
    twin(`of ${what} has undici\u2019s properties`, async (stage) => {
      const exchange = stage.send(stage.agent({ connections: 1 }), { origin: 'http://127.0.0.1:1', ...request })
      names(stage, exchange)
    })
  }
})

describe('what the error callback throws', () => {
  twin(
    'is an uncaught exception, and nothing else breaks',
    async (stage) => {
      const listeners = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      const caught = new Promise<void>((resolve) => {
        process.once('uncaughtException', (error) => {
          stage.note('process', 'uncaught', error.message)
          resolve()
        })
      })
      try {
        const agent = stage.agent({ connections: 1 })
        const { origin } = await stage.server(answer({ bytes: '', ending: 'fin' }))
        stage.send(
          agent,
          { origin },
          {
            error: () => {
              throw new Error('thrown by the error callback')
            },
          },
        )
        await caught
        await turns(5)
      } finally {
        for (const listener of listeners) process.on('uncaughtException', listener)
      }
    },
    { free: true },
  )
})
