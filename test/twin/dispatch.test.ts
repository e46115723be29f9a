/** What dispatch() does with a call: refusals and their order, its return value, 'drain', and the options it leaves alone. */
import { describe } from 'vitest'
import { answering, ok, type RawPeer } from '../support/raw-server.js'
import { exchange, refused } from './answers.js'
import { type AnyOptions, type Play, turns, twin } from './twin.js'

describe('refuses', () => {
  const noHandlers: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['a string', 'handler'],
    ['a function', () => {}],
    ['a number', 1],
  ]
  for (const [what, handler] of noHandlers) {
    twin(`${what} as a handler by throwing`, async (stage) => {
      const agent = stage.agent()
      stage.dispatch(agent, { origin: 'http://127.0.0.1:1' }, { name: 'a', handler: handler as never })
    })
  }

  for (const options of [undefined, null, 'http://127.0.0.1', 7]) {
    twin(`${options} as options`, refused(options))
  }

  twin('a handler before bad options', async (stage) => {
    stage.dispatch(stage.agent(), null, { name: 'a', handler: null as never })
  })
  twin('bad options before a destroyed agent', async (stage) => {
    const agent = stage.agent()
    await agent.destroy()
    stage.dispatch(agent, null, stage.exchange())
  })
  twin('on a destroyed agent before the origin is looked at', async (stage) => {
    const agent = stage.agent()
    await agent.destroy()
    stage.dispatch(agent, { origin: 5 }, stage.exchange())
  })
  twin('on a closed agent before the origin is looked at', async (stage) => {
    const agent = stage.agent()
    void agent.close()
    stage.dispatch(agent, { origin: 5 }, stage.exchange())
    await turns()
  })
  twin('on an agent that has come to its end by close()', async (stage) => {
    const agent = stage.agent()
    await agent.close()
    stage.dispatch(agent, { origin: 'http://127.0.0.1:1' }, stage.exchange())
  })
  twin('a bad origin before a bad path', refused({ origin: 5, path: 5 }))
  twin('a bad path before a bad method', refused({ path: 5, method: 5 }))
  twin('a bad method before bad headers', refused({ method: 5, headers: 5 }))
  twin('bad headers before a bad handler', async (stage) => {
    const broken = stage.exchange()
    delete broken.handler.onHeaders
    stage.dispatch(stage.agent({ connections: 1 }), { origin: 'http://127.0.0.1:1', headers: 5 }, broken)
  })
  twin('a bad body before bad headers', refused({ body: 5, headers: 5 }))

  for (const [without, style] of [
    ['onError', 'legacy'],
    ['onResponseError', 'new'],
  ] as const) {
    twin(
      `bad options by throwing where there is no ${without}`,
      async (stage) => {
        const broken = stage.exchange()
        delete broken.handler[without]
        stage.dispatch(stage.agent(), { origin: 5 }, broken)
      },
      { styles: [style], legacyItself: style === 'legacy' },
    )
  }
})

describe('returns', () => {
  const held = (released: Promise<void>) => async (peer: RawPeer) => {
    while ((await peer.request()) !== null) {
      await released
      peer.write(ok())
    }
  }

  /** `count` requests at once; all are answered only then. */
  const burst =
    (options: AnyOptions, count: number, request: AnyOptions = {}): Play =>
    async (stage) => {
      let release = (): void => {}
      const { origin } = await stage.server(
        held(
          new Promise((resolve) => {
            release = resolve
          }),
        ),
      )
      const agent = stage.agent(options)
      const exchanges = Array.from({ length: count }, () => stage.send(agent, { origin, ...request }))
      release()
      await Promise.all(exchanges.map(({ done }) => done))
      await turns()
    }

  twin('true for one request without limit', burst({}, 1))
  twin('true for all requests without limit', burst({}, 5), { free: true })
  twin('true without limit with pipelining', burst({ pipelining: 3 }, 5), { free: true })
  twin('true with connections 0, which is no limit', burst({ connections: 0 }, 3), { free: true })
  twin('false for the first request with one connection', burst({ connections: 1 }, 1))
  twin('false for the first request with one connection and pipelining 0', burst({ connections: 1, pipelining: 0 }, 1))
  twin('false for all of three with one connection', burst({ connections: 1 }, 3))
  for (const pipelining of [2, 3]) {
    twin(`room up to pipelining ${pipelining} on one connection`, burst({ connections: 1, pipelining }, pipelining + 2))
  }
  twin('room up to pipelining 2 on one connection for what does not block', async (stage) => {
    await burst({ connections: 1, pipelining: 2 }, 4, { blocking: false })(stage)
  })
  for (const connections of [2, 3]) {
    for (const count of [connections - 1, connections, connections + 2]) {
      twin(`room for ${connections} connections with ${count} requests`, burst({ connections }, count), { free: true })
    }
  }
  twin('false for a missing origin', refused({ origin: undefined }))
  twin('what a Pool returns for a bad path', refused({ path: 'x' }, {}))
  twin('what a Client returns for a bad path', refused({ path: 'x' }, { connections: 1 }))
  twin('what a Pool returns for bad headers', refused({ headers: 'x' }, { connections: 2 }))

  twin('true again after drain', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = stage.agent({ connections: 1 })
    for (let i = 0; i < 3; i++) {
      await stage.send(agent, { origin }).done
      await stage.noted('drain', i + 1)
    }
  })

  twin('drain once for a queue that is filled from within an end callback', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = stage.agent({ connections: 1 })
    const second = new Promise<void>((resolve) => {
      stage.send(agent, { origin }, { end: () => void stage.send(agent, { origin }).done.then(resolve) })
    })
    await second
    await stage.noted('drain')
    await turns()
  })

  twin(
    'one drain for each origin',
    async (stage) => {
      const servers = [await stage.server(answering(ok())), await stage.server(answering(ok()))]
      const agent = stage.agent({ connections: 1 })
      for (const { origin } of servers) {
        await stage.send(agent, { origin }).done
      }
      await stage.noted('drain', 2)
    },
    { free: true },
  )

  twin('drain after a failed connection', async (stage) => {
    const agent = stage.agent({ connections: 1 })
    await stage.send(agent, { origin: 'http://127.0.0.1:1' }).done
    await stage.noted('connectionError')
    await turns()
  })
})

describe('options', () => {
  const unknown: AnyOptions = {
    allowH2: false,
    signal: new AbortController().signal,
    opaque: {},
    onInfo() {},
    responseHeaders: 'raw',
    highWaterMark: 1,
    dispatcher: undefined,
    context: {},
    __mockAgentBodyForDispatch: null,
  }
  for (const [option, value] of Object.entries(unknown)) {
    twin(`ignores ${option}`, exchange({ bytes: ok() }, { request: { [option]: value } }))
  }
  for (const value of [0, null, undefined]) {
    twin(`takes maxRedirections ${value}`, exchange({ bytes: ok() }, { request: { maxRedirections: value } }))
  }

  twin('are not changed, and may be used again', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = stage.agent()
    const options = Object.freeze({
      origin,
      path: '/again',
      method: 'POST',
      headers: Object.freeze(['a', 'b', 'content-length', '2']),
      query: Object.freeze({ q: '1' }),
      body: 'hi',
    })
    for (let i = 0; i < 2; i++) {
      await stage.send(agent, options).done
      await turns()
    }
    stage.note('options', 'are', JSON.stringify(options))
  })

  twin('are read within the call', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const headers: AnyOptions = { a: '1' }
    const options: AnyOptions = { origin, path: '/before', method: 'GET', headers }
    const { done } = stage.send(stage.agent(), options)
    Object.assign(options, { path: '/after', method: 'PUT', origin: 'http://nope.invalid', body: 'late' })
    headers.a = '2'
    await done
  })

  const forms: [string, (origin: string) => unknown][] = [
    ['a string', (origin) => origin],
    ['a string with a slash', (origin) => `${origin}/`],
    ['a URL', (origin) => new URL(origin)],
    ['a string in capitals', (origin) => origin.toUpperCase()],
    ['a string with credentials', (origin) => origin.replace('//', '//user:secret@')],
  ]
  for (const [what, form] of forms) {
    twin(`takes ${what} as origin`, async (stage) => {
      const { origin } = await stage.server(answering(ok()))
      await stage.send(stage.agent(), { origin: form(origin) }).done
    })
  }
  const noOrigins: [string, unknown][] = [
    ['no string', 5],
    ['an empty string', ''],
    ['null', null],
    ['an object', {}],
    ['ftp', 'ftp://127.0.0.1'],
    ['a path', 'http://127.0.0.1/path'],
    ['a search', 'http://127.0.0.1/?a'],
    ['a hash', 'http://127.0.0.1/#a'],
    ['what is no URL', 'nonsense'],
    ['a port out of range', 'http://127.0.0.1:70000'],
    ['a URL with a path', new URL('http://127.0.0.1/path')],
    ['a URL of ws', new URL('ws://127.0.0.1/')],
  ]
  for (const [what, origin] of noOrigins) twin(`refuses ${what} as origin`, refused({ origin }))
})
