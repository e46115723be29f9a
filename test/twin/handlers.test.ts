/** The two handler interfaces: which callbacks come, in which order, with what, and what becomes of what they throw. */
import { describe } from 'vitest'
import { answering, ok } from '../support/raw-server.js'
import { answer, exchange, HEAD } from './answers.js'
import type { Callback, Entry, Flow } from './recorder.js'
import { type Play, type Settings, turns, twin } from './twin.js'

const chunked = `${HEAD}transfer-encoding: chunked\r\ntrailer: t\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nT: one\r\nt: two\r\nu: x\r\n\r\n`
const informational = `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n`

describe('callbacks', () => {
  const bodies: [string, string][] = [
    ['a response with a length', ok('hello')],
    ['an empty response', ok('')],
    ['a chunked response with trailers', chunked],
    ['informational responses (RFC 9110 15.2)', informational + ok()],
    ['a response without a reason phrase', 'HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n'],
    ['a reason phrase in UTF-8', `HTTP/1.1 200 Gr\u00c3\u00bc\u00c3\u009fe\r\ncontent-length: 0\r\n\r\n`],
    ['field values in latin1', `${HEAD}x-latin: \u00e9\u00ff\r\ncontent-length: 0\r\n\r\n`],
    ['field names in any case', `${HEAD}X-One: 1\r\nx-ONE: 2\r\nX-oNe: 3\r\nContent-Length: 0\r\n\r\n`],
    ['several Set-Cookie fields', `${HEAD}Set-Cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n`],
    ['names of the prototype', `${HEAD}__proto__: x\r\nconstructor: y\r\ntoString: z\r\ncontent-length: 0\r\n\r\n`],
    ['an empty field value', `${HEAD}a:\r\nb: \r\nc:x\r\ncontent-length: 0\r\n\r\n`],
    ['blanks around a field value', `${HEAD}a:   x  y \t\r\nb:\tz\r\ncontent-length: 0\r\n\r\n`],
  ]
  for (const [what, bytes] of bodies) twin(`for ${what}`, exchange({ bytes }))
  twin('for a POST with a body', exchange({ bytes: ok() }, { request: { method: 'POST', body: 'sent' } }))
  twin('for two exchanges on one connection', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = stage.agent()
    for (const path of ['/1', '/2']) {
      await stage.send(agent, { origin, path }).done
      await turns()
    }
  })
})

describe('a handler without', () => {
  const legacyMethods = [
    'onConnect',
    'onHeaders',
    'onData',
    'onComplete',
    'onError',
    'onUpgrade',
    'onBodySent',
    'onRequestSent',
  ]
  for (const method of legacyMethods) {
    const legacyOnly: Settings = { styles: ['legacy'], legacyItself: true }
    const withMethod =
      (value: unknown): Play =>
      async (stage) => {
        const { origin } = await stage.server(answering(ok()))
        const broken = stage.exchange()
        Object.assign(broken.handler, { [method]: value })
        if (value === undefined) delete broken.handler[method]
        stage.dispatch(stage.agent({ connections: 1 }), { origin }, broken)
        if (!stage.log.some(([, what]) => what === 'error' || what === 'thrown')) await broken.done
      }
    twin(`${method}`, withMethod(undefined), legacyOnly)
    if (method !== 'onUpgrade' && method !== 'onRequestSent')
      twin(`a function as ${method}`, withMethod('no function'), legacyOnly)
  }
  for (const method of ['onResponseStart', 'onResponseData', 'onResponseEnd', 'onRequestUpgrade']) {
    twin(
      `${method}`,
      async (stage) => {
        const { origin } = await stage.server(answering(ok()))
        const broken = stage.exchange()
        delete broken.handler[method]
        const agent = stage.agent()
        stage.dispatch(agent, { origin }, broken)
        // Without an end callback the next exchange tells that this one is over.
        await (method === 'onResponseEnd' ? turns(30) : broken.done)
      },
      { styles: ['new'] },
    )
  }
})

describe('what is thrown', () => {
  for (const callback of ['start', 'started', 'head', 'data', 'end', 'bodySent', 'requestSent'] as Callback[]) {
    const throwing =
      (thrown: unknown): Play =>
      async (stage) => {
        const { origin } = await stage.server(answering(ok()))
        const agent = stage.agent({ connections: 1 })
        const broken = stage.send(
          agent,
          { origin, method: 'POST', body: 'x' },
          {
            [callback]() {
              throw thrown
            },
          },
        )
        await broken.done
        await turns()
        stage.note('a', 'same', broken.error === thrown)
      }
    // Of the kind that undici 7 tells what was sent.
    const settings: Settings = /Sent|started/.test(callback) ? { styles: ['legacy'] } : {}
    const cut = { ...settings, abandons: true, wire: callback === 'start' || callback === 'end' }
    twin(`in the ${callback} callback goes to the error callback`, throwing(new Error('thrown')), cut)
    if (callback !== 'started')
      twin(`in the ${callback} callback is passed on, no Error as it is`, throwing('text'), cut)
  }

  for (const callback of ['start', 'end'] as const) {
    twin(
      `in the ${callback} callback leaves the connection in use`,
      async (stage) => {
        const { origin } = await stage.server(answering(ok()))
        const agent = stage.agent({ connections: 1 })
        await stage.send(
          agent,
          { origin },
          {
            [callback]() {
              throw new Error('thrown')
            },
          },
        ).done
        await turns()
        await stage.send(agent, { origin, path: '/next' }).done
      },
      { free: true },
    )
  }
})

describe('abort', () => {
  const reasons: [string, unknown][] = [
    ['without a reason', undefined],
    ['with an Error', new Error('enough')],
    ['with an Error that has a code', Object.assign(new Error('enough'), { code: 'X' })],
    ['with a DOMException', new DOMException('enough', 'AbortError')],
    ['with a string', 'enough'],
    ['with null', null],
  ]
  const aborting =
    (callback: Callback, act: (flow: Flow) => void, bytes = ok('x'.repeat(100))): Play =>
    async (stage) => {
      const { origin } = await stage.server(answering(bytes))
      const { done } = stage.send(
        stage.agent({ connections: 1 }),
        { origin, method: 'POST', body: 'y' },
        { [callback]: act },
      )
      await done
      await turns()
    }
  for (const [what, reason] of reasons) {
    for (const callback of ['start', 'head', 'data'] as const) {
      const act = ({ abort }: Flow): void => abort(reason)
      twin(`${what} in the ${callback} callback`, aborting(callback, act), { abandons: true, wire: false })
    }
  }
  for (const callback of ['start', 'head', 'data'] as const) {
    const twice = ({ abort }: Flow): void => {
      abort(new Error('first'))
      abort(new Error('second'))
    }
    twin(`twice in the ${callback} callback is once`, aborting(callback, twice), { abandons: true, wire: false })
    const later = ({ abort }: Flow): void => queueMicrotask(() => abort(new Error('later')))
    twin(`a microtask after the ${callback} callback`, aborting(callback, later, `${HEAD}content-length: 9\r\n\r\nx`), {
      abandons: true,
      wire: false,
    })
  }
  twin(
    'in the end callback is nothing',
    aborting('end', ({ abort }) => abort(new Error('late'))),
  )
  twin('long after the end is nothing', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = stage.agent({ connections: 1 })
    const first = stage.send(agent, { origin })
    await first.done
    await turns()
    first.flow.abort(new Error('late'))
    await stage.send(agent, { origin, path: '/next' }).done
  })
  twin(
    'in an informational head callback',
    aborting('head', ({ abort }) => abort(new Error('early')), informational),
    {
      abandons: true,
      wire: false,
    },
  )
  twin(
    'in a requestSent callback',
    aborting('requestSent', ({ abort }) => abort(new Error('sent'))),
    {
      abandons: true,
      wire: false,
      styles: ['legacy'],
    },
  )
  twin('in the start callback of a request behind others writes nothing', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    const agent = stage.agent({ connections: 1 })
    const exchanges = ['/1', '/2', '/3'].map((path, i) =>
      stage.send(agent, { origin, path }, i === 1 ? { start: ({ abort }) => abort(new Error('unwanted')) } : {}),
    )
    for (const { done } of exchanges) await done
    await turns()
  })
})

describe('the controller', () => {
  const newOnly: Settings = { styles: ['new'] }
  const facts = ({ controller }: Flow): unknown[] => [
    controller!.paused,
    controller!.aborted,
    controller!.reason,
    Array.isArray(controller!.rawHeaders) ? controller!.rawHeaders.length : controller!.rawHeaders,
    Array.isArray(controller!.rawTrailers) ? controller!.rawTrailers.length : controller!.rawTrailers,
  ]
  const observed =
    (bytes: string, act: Partial<Record<Callback, (flow: Flow, entry: Entry) => void>> = {}): Play =>
    async (stage) => {
      const { origin } = await stage.server(answering(bytes))
      const hooks = Object.fromEntries(
        (['start', 'head', 'data', 'end', 'error'] as Callback[]).map((callback) => [
          callback,
          (flow: Flow, entry: Entry) => {
            stage.note('controller', callback, ...(flow.controller === null ? ['none'] : facts(flow)))
            act[callback]?.(flow, entry)
            if (act[callback]) stage.note('controller', `${callback} after`, ...facts(flow))
          },
        ]),
      )
      await stage.send(stage.agent({ connections: 1 }), { origin }, hooks).done
      await turns()
    }
  twin('holds the raw fields of the latest head and section', observed(informational + chunked), newOnly)
  twin(
    'tells that it is paused',
    observed(ok(), {
      head: (flow) => {
        flow.pause()
        setTimeout(() => flow.resume())
      },
    }),
    newOnly,
  )
  twin(
    'resumes within the callback',
    observed(ok(), {
      head: (flow) => {
        flow.pause()
        flow.resume()
        flow.resume()
      },
    }),
    newOnly,
  )
  twin('takes resume() without pause()', observed(ok(), { start: (flow) => flow.resume() }), newOnly)
  for (const callback of ['start', 'head', 'data'] as const) {
    for (const reason of [undefined, null, new Error('enough'), 'text']) {
      twin(
        `tells of an abort in the ${callback} callback with ${reason}`,
        observed(ok(), {
          [callback]: ({ abort }: Flow) => abort(reason),
        }),
        { ...newOnly, abandons: true, wire: false, free: true },
      )
    }
  }
  twin(
    'is none before there is a connection',
    async (stage) => {
      const call = stage.exchange()
      const handler = {
        ...call.handler,
        onResponseError(controller: unknown) {
          stage.note('a', 'controller', controller == null)
        },
      } as never
      stage.dispatch(stage.agent(), { origin: 5 }, { name: 'a', handler })
      await new Promise<void>((resolve) => {
        const onResponseError = (controller: unknown): void => {
          stage.note('b', 'controller', controller == null)
          resolve()
        }
        stage.dispatch(
          stage.agent(),
          { origin: 'http://127.0.0.1:1' },
          { name: 'b', handler: { ...call.handler, onResponseError } as never },
        )
      })
    },
    newOnly,
  )
})

describe('pause', () => {
  const long = `${HEAD}transfer-encoding: chunked\r\n\r\n${'4\r\nabcd\r\n'.repeat(20)}0\r\n\r\n`
  for (const callback of ['head', 'data'] as const) {
    const paused = (resume: (flow: Flow) => void): Play =>
      exchange(
        { bytes: long },
        {
          hooks: {
            [callback](flow: Flow) {
              flow.pause()
              resume(flow)
            },
          },
        },
      )
    twin(
      `in each ${callback} callback until the next turn`,
      paused((flow) => setImmediate(() => flow.resume())),
    )
    twin(
      `in each ${callback} callback until a microtask`,
      paused((flow) => queueMicrotask(() => flow.resume())),
    )
    twin(
      `in each ${callback} callback, resumed twice`,
      paused((flow) =>
        setImmediate(() => {
          flow.resume()
          flow.resume()
        }),
      ),
    )
  }
  twin('stops everything but what is there', async (stage) => {
    let resume = (): void => {}
    const { origin } = await stage.server(answering(ok('hello')))
    const call = stage.send(
      stage.agent(),
      { origin },
      {
        head(flow) {
          flow.pause()
          resume = () => flow.resume()
        },
      },
    )
    await stage.noted('head')
    await turns(5)
    stage.note('stage', 'resumes')
    resume()
    await call.done
  })
  twin('does not lose what came before a FIN', async (stage) => {
    const { origin } = await stage.server(answer({ bytes: `${HEAD}\r\nto the end`, ending: 'fin' }))
    const call = stage.send(
      stage.agent(),
      { origin },
      {
        head: (flow) => {
          flow.pause()
          setTimeout(() => flow.resume(), 10)
        },
      },
    )
    await call.done
    await stage.noted('disconnect')
  })
  twin(
    'at an informational head means nothing',
    exchange(
      { bytes: informational + ok() },
      {
        hooks: {
          head(flow, [, , statusCode]) {
            if ((statusCode as number) < 200) flow.pause()
          },
        },
      },
    ),
    { styles: ['legacy'], legacyItself: true },
  )
  for (const value of [undefined, null, 0, '', true]) {
    twin(
      `is not meant by ${JSON.stringify(value)} from a callback`,
      async (stage) => {
        const { origin } = await stage.server(answering(ok()))
        const call = stage.exchange()
        const { onHeaders, onData } = call.handler
        Object.assign(call.handler, {
          onHeaders(...said: never[]) {
            onHeaders!(...said)
            return value
          },
          onData(...said: never[]) {
            onData!(...said)
            return value
          },
        })
        stage.dispatch(stage.agent(), { origin }, call)
        await call.done
      },
      { styles: ['legacy'] },
    )
  }
  twin(
    'aborted meanwhile',
    async (stage) => {
      const { origin } = await stage.server(answering(ok('hello')))
      const call = stage.send(
        stage.agent(),
        { origin },
        {
          head(flow) {
            flow.pause()
            setImmediate(() => {
              flow.abort(new Error('enough'))
              flow.resume()
            })
          },
        },
      )
      await call.done
      await turns()
    },
    { abandons: true },
  )
})

describe('calls into the agent from a callback', () => {
  for (const callback of ['start', 'head', 'data', 'end'] as const) {
    twin(`dispatch in the ${callback} callback`, async (stage) => {
      const { origin } = await stage.server(answering(ok()))
      const agent = stage.agent({ connections: 1 })
      let second: Promise<void> | undefined
      const first = stage.send(
        agent,
        { origin, path: '/1' },
        {
          [callback]() {
            second ??= stage.send(agent, { origin, path: '/2' }).done
          },
        },
      )
      await first.done
      await second
      await turns()
    })
    for (const method of ['close', 'destroy'] as const) {
      twin(
        `${method} in the ${callback} callback`,
        async (stage) => {
          const { origin } = await stage.server(answering(ok()))
          const agent = stage.agent({ connections: 1 })
          const over = new Promise<void>((resolve) => {
            stage.send(
              agent,
              { origin },
              {
                [callback]() {
                  void agent[method]().then(() => {
                    stage.note('agent', 'over')
                    resolve()
                  })
                },
              },
            )
          })
          await over
        },
        { wire: callback !== 'start' },
      )
    }
  }
  twin('dispatch in the error callback', async (stage) => {
    const agent = stage.agent()
    const over = new Promise<void>((resolve) => {
      stage.send(
        agent,
        { origin: 'http://127.0.0.1:1' },
        { error: () => void stage.send(agent, { origin: 5 }).done.then(resolve) },
      )
    })
    await over
    await stage.noted('connectionError')
  })
})
