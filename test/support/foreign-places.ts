/** Every place where an agent calls code of the caller's. */
import { connect as connectTcp } from 'node:net'
import { type Duplex, Readable } from 'node:stream'
import { checkServerIdentity, connect as connectTls, type PeerCertificate } from 'node:tls'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { channelNames } from './channels.js'
import type { Callback, Client, Place, Scene } from './foreign-code.js'
import { styles } from './handlers.js'

type Done = (error: Error | null, socket: Duplex | null) => void
type Connect = (scene: Scene, socket: Duplex, done: Done) => unknown
type ConnectOptions = Exclude<RecyclingAgentOptions['connect'], undefined>

const isSecure = ({ protocol }: Client): boolean => protocol === 'https'
const isSingle = ({ connections }: Client): boolean => connections === 1

/** Runs the caller's code, and then, whatever it does, `more`. */
function fireThen(scene: Scene, more: () => void): void {
  try {
    scene.fire()
  } finally {
    more()
  }
}

/** A socket on its way, as a `connect` function makes it. */
function makeSocket(scene: Scene, servername: string | undefined): Duplex {
  const { port, ca } = scene.server
  const options = { host: '127.0.0.1', port }
  const socket =
    scene.client.protocol === 'http'
      ? connectTcp(options)
      : connectTls({ ...options, ca, servername: servername ?? scene.host })
  scene.sockets.push(socket)
  // Until the agent has it, and when it does not want it any more.
  socket.on('error', () => {})
  return socket
}

const connects: [name: string, onThrow: Place['onThrow'], connect: Connect][] = [
  [
    'before it calls back within the call',
    'connection',
    (scene, socket, done) => {
      try {
        scene.fire()
      } catch (error) {
        // It is nobody else's.
        socket.destroy()
        throw error
      }
      done(null, socket)
    },
  ],
  [
    'when it has called back within the call',
    'ignored',
    (scene, socket, done) => {
      done(null, socket)
      scene.fire()
    },
  ],
  [
    'in a microtask, before it calls back',
    'surfaces',
    (scene, socket, done) => queueMicrotask(() => fireThen(scene, () => done(null, socket))),
  ],
  [
    'in a later turn, before it calls back',
    'surfaces',
    (scene, socket, done) => void setImmediate(() => fireThen(scene, () => done(null, socket))),
  ],
  [
    'in a later turn, when it has called back',
    'surfaces',
    (scene, socket, done) =>
      void setImmediate(() => {
        done(null, socket)
        scene.fire()
      }),
  ],
  [
    'in a later turn, having returned its socket',
    'surfaces',
    (scene, socket, done) => {
      setImmediate(() => fireThen(scene, () => done(null, socket)))
      return socket
    },
  ],
  [
    'when its socket has connected',
    'surfaces',
    (scene, socket, done) => void socket.once(eventOf(scene), () => fireThen(scene, () => done(null, socket))),
  ],
  [
    'between calling back twice',
    'surfaces',
    (scene, socket, done) =>
      void setImmediate(() => {
        done(null, socket)
        const another = makeSocket(scene, undefined)
        scene.surplus.add(another)
        fireThen(scene, () => done(null, another))
      }),
  ],
]

const eventOf = ({ client }: Scene): string => (client.protocol === 'http' ? 'connect' : 'secureConnect')

/** Whether the next connection is one that fails: the only one, or without limit those that the first requests have each. */
function nextFails(scene: Scene): () => boolean {
  let isFirst = true
  return () => {
    if (scene.client.connections !== 1)
      return scene.exchanges.some(({ path, ends }) => path !== '/later' && ends.length === 0)
    const fails = isFirst
    isFirst = false
    return fails
  }
}

function connectPlaces(): Place[] {
  const places = connects.map(
    ([name, onThrow, connect]): Place => ({
      name: `a connect function, ${name}`,
      onThrow,
      isEarly: !name.includes('called back within') && !name.includes('has called back') && !name.includes('twice'),
      set(scene) {
        scene.options.connect = ((options: { servername?: string }, done: Done) =>
          connect(scene, makeSocket(scene, options.servername), done)) as ConnectOptions
      },
    }),
  )
  const failing = (name: string, fail: (scene: Scene, done: Done) => unknown, onThrow: Place['onThrow']): Place => ({
    name: `a connect function that ${name}`,
    onThrow,
    culprit: 'first',
    others: ['first', 'ok'],
    set(scene) {
      const fails = nextFails(scene)
      scene.options.connect = ((options: { servername?: string }, done: Done) => {
        if (fails()) return fail(scene, done)
        const socket = makeSocket(scene, options.servername)
        socket.once(eventOf(scene), () => done(null, socket))
        return socket
      }) as ConnectOptions
    },
  })
  return [
    ...places,
    failing('fails within the call', (scene, done) => fireThen(scene, () => done(scene.first, null)), 'ignored'),
    failing(
      'fails in a later turn',
      (scene, done) => void setImmediate(() => fireThen(scene, () => done(scene.first, null))),
      'surfaces',
    ),
    failing(
      'hands over what is no socket',
      (scene, done) => {
        setImmediate(() => fireThen(scene, () => done(null, { destroy() {} } as never)))
      },
      'surfaces',
    ),
    failing(
      'returns a promise that rejects',
      async (scene) => {
        scene.fire()
        throw scene.first
      },
      'connection',
    ),
  ]
}

type Lookup = (
  scene: Scene,
  done: (error: Error | null, ...found: ReturnType<Scene['addresses']>) => void,
  found: ReturnType<Scene['addresses']>,
) => void

const lookups: [name: string, onThrow: Place['onThrow'], lookup: Lookup, isFailing?: boolean][] = [
  [
    'before it calls back within the call',
    'connection',
    (scene, done, found) => {
      scene.fire()
      done(null, ...found)
    },
  ],
  [
    'in a later turn, before it calls back',
    'surfaces',
    (scene, done, found) => void setImmediate(() => fireThen(scene, () => done(null, ...found))),
  ],
  [
    'between calling back twice',
    'surfaces',
    (scene, done, found) =>
      void setImmediate(() => {
        done(null, ...found)
        fireThen(scene, () => done(null, ...found))
      }),
  ],
  [
    'that fails within the call',
    'ignored',
    (scene, done, found) => fireThen(scene, () => done(scene.first, ...found)),
    true,
  ],
  [
    'that fails in a later turn',
    'surfaces',
    (scene, done, found) => void setImmediate(() => fireThen(scene, () => done(scene.first, ...found))),
    true,
  ],
]

const lookupPlaces = (): Place[] =>
  lookups.map(([name, onThrow, lookup, isFailing = false]) => ({
    name: `a resolver, ${name}`,
    onThrow,
    isEarly: name.includes('before'),
    ...(isFailing ? { culprit: 'first', others: ['first', 'ok'] } : {}),
    set(scene) {
      const fails = nextFails(scene)
      const { ca } = scene.server
      scene.options.connect = {
        ca,
        lookup(host, options, done) {
          const found = scene.addresses(options)
          if (host !== scene.host || (isFailing && !fails())) done(null, ...found)
          else lookup(scene, done as never, found)
        },
      }
    },
  }))

const identityPlace: Place = {
  name: 'checkServerIdentity',
  onThrow: 'connection',
  isEarly: true,
  isTriedOn: isSecure,
  set(scene) {
    Object.assign(scene.options.connect!, {
      checkServerIdentity(host: string, certificate: PeerCertificate) {
        scene.fire()
        return checkServerIdentity(host, certificate)
      },
    })
  },
}

/** Fails to connect, once. */
function failToConnect(scene: Scene): void {
  let failures = scene.client.connections === 1 ? 1 : 3
  Object.assign(scene.options.connect!, {
    lookup: ((host, options, done) => {
      if (host === scene.host && failures-- > 0) setImmediate(() => done(scene.first, ''))
      else done(null, ...scene.addresses(options))
    }) satisfies NonNullable<Extract<RecyclingAgentOptions['connect'], { lookup?: unknown }>['lookup']>,
  })
}

const FAILING = { culprit: 'first', others: ['first', 'ok'] } as const

function eventPlaces(): Place[] {
  const place = (event: string, more: Partial<Place>, set?: (scene: Scene) => void): Place => ({
    name: `a listener of '${event}'`,
    onThrow: 'surfaces',
    ...more,
    set(scene) {
      set?.(scene)
      scene.onAgent((agent) => agent.on(event as 'connect', () => scene.fire()))
    },
  })
  return [
    place('connect', {}),
    place('disconnect', { isOver: true }, (scene) => {
      scene.culpritOptions = { headers: { wish: 'close' } }
    }),
    place('connectionError', { ...FAILING, isOver: true }, failToConnect),
    place('drain', { isOver: true, isTriedOn: (client) => isSingle(client) && client.kind !== 'pool' }),
  ]
}

function channelPlaces(): Place[] {
  return channelNames.map((name) => {
    const isError = name.endsWith(':error')
    const isConnectError = name.endsWith('connectError')
    return {
      name: `a subscriber of ${name}`,
      onThrow: 'surfaces',
      isEarly: name.endsWith('beforeConnect'),
      isOver: name.endsWith('trailers') || isError || isConnectError,
      ...(isConnectError ? FAILING : isError ? { culprit: 'first' } : {}),
      ...(name.endsWith('create') ? { onClose: 'destroyed' } : {}),
      set(scene) {
        scene.isAlone = name.endsWith('create')
        if (isConnectError) failToConnect(scene)
        if (isError) scene.hooks.start = () => scene.culprit.control!.abort(scene.first)
        scene.subscribe(name, ({ request }) => {
          if (request !== undefined && request.path !== scene.culprit.path) return
          scene.shown = request ?? null
          scene.fire()
        })
      },
    }
  })
}

function callbackPlaces(): Place[] {
  const callbacks: Callback[] = [
    'start',
    'responseStarted',
    'informational',
    'head',
    'data',
    'end',
    'error',
    'upgrade',
    'bodySent',
    'requestSent',
  ]
  return styles.flatMap((style) =>
    callbacks.map((callback): Place => {
      const isOver = callback === 'end' || callback === 'error'
      return {
        name: `the ${callback} callback of a handler of the ${style} kind`,
        onThrow: callback === 'error' ? 'surfaces' : 'culprit',
        isOver,
        ...(callback === 'error' ? { culprit: 'first' } : {}),
        set(scene) {
          scene.style = style
          if (callback === 'upgrade') scene.culpritOptions = { method: 'GET', upgrade: 'foreign' }
          if (callback === 'informational') scene.culpritOptions = { headers: { wish: 'early hints' } }
          scene.hooks[callback] = () => scene.fire()
          if (callback === 'error') scene.hooks.head = () => scene.culprit.control!.abort(scene.first)
        },
      }
    }),
  )
}

/** A stream by its looks, all of whose methods are the caller's. */
function streamLike(scene: Scene, fired: string) {
  const listeners = new Map<string, ((...said: unknown[]) => void)[]>()
  const emit = (event: string, ...said: unknown[]): void => {
    for (const listener of [...(listeners.get(event) ?? [])]) listener(...said)
  }
  let isStarted = false
  const call = (method: string): void => {
    if (method === fired) scene.fire()
  }
  return {
    pipe() {},
    on(event: string, listener: () => void) {
      call('on')
      listeners.set(event, [...(listeners.get(event) ?? []), listener])
    },
    removeListener(event: string, listener: () => void) {
      call('removeListener')
      listeners.set(
        event,
        (listeners.get(event) ?? []).filter((other) => other !== listener),
      )
    },
    read() {
      call('read')
      return null
    },
    resume() {
      call('resume')
      if (isStarted) return
      isStarted = true
      setImmediate(() => {
        emit('data', Buffer.from('body'))
        emit('end')
        emit('close')
      })
    },
    pause() {},
    destroy() {
      call('destroy')
    },
  }
}

function bodyPlaces(): Place[] {
  const place = (
    name: string,
    onThrow: Place['onThrow'],
    body: (scene: Scene) => unknown,
    more: Partial<Place> = {},
  ) => ({
    name: `${name} of a body`,
    onThrow,
    ...more,
    set(scene: Scene) {
      scene.culpritOptions = { method: 'PUT', body: body(scene) as never }
      if (more.culprit !== undefined) scene.hooks.bodySent = () => scene.culprit.control!.abort(scene.first)
    },
  })
  const iterate = (methods: object) => ({
    [Symbol.asyncIterator]: () => ({ next: async () => ({ value: 'x', done: false }), ...methods }),
  })
  // A member may be a getter, which is not to be asked yet.
  const blob = (members: object) =>
    Object.defineProperties(
      { [Symbol.toStringTag]: 'Blob', type: '', size: 4, stream: () => Readable.from([Buffer.from('body')]) },
      Object.getOwnPropertyDescriptors(members),
    )
  const failing = { culprit: 'first', isOver: true } as const
  const early = { isOver: true } as const
  return [
    place('the read method of a stream', 'culprit', (scene) => {
      return new Readable({
        read() {
          scene.fire()
          this.push('body')
          this.push(null)
        },
      })
    }),
    place(
      'the destroy method of a stream',
      'ignored',
      (scene) =>
        new Readable({
          read() {
            this.push('body')
          },
          destroy(error, done) {
            scene.fire()
            done(error)
          },
        }),
      failing,
    ),
    ...['read', 'resume'].map((method) =>
      place(`the ${method} method of what looks like a stream`, 'culprit', (scene) => streamLike(scene, method), early),
    ),
    place('the on method of what looks like a stream', 'culprit', (scene) => streamLike(scene, 'on'), {
      ...early,
      onClose: 'destroyed',
    }),
    place(
      'the removeListener method of what looks like a stream',
      'ignored',
      (scene) => streamLike(scene, 'removeListener'),
      early,
    ),
    place(
      'the destroy method of what looks like a stream',
      'ignored',
      (scene) => streamLike(scene, 'destroy'),
      failing,
    ),
    place('the next method of an async iterator', 'culprit', (scene) => {
      let isDone = false
      return iterate({
        async next() {
          scene.fire()
          const done = isDone
          isDone = true
          return { value: 'body', done }
        },
      })
    }),
    place('the next method of an iterator', 'culprit', (scene) => ({
      *[Symbol.iterator]() {
        scene.fire()
        yield 'body'
      },
    })),
    place('the method that makes an async iterator', 'culprit', (scene) => ({
      [Symbol.asyncIterator]() {
        scene.fire()
        return Readable.from(['body'])[Symbol.asyncIterator]()
      },
    })),
    place(
      'the return method of an async iterator',
      'ignored',
      (scene) =>
        iterate({
          return() {
            scene.fire()
            return {}
          },
        }),
      failing,
    ),
    place('the conversion of a chunk', 'culprit', (scene) => [
      {
        [Symbol.toPrimitive]() {
          scene.fire()
          return 'body'
        },
      },
    ]),
    place('the stream method of a Blob', 'culprit', (scene) =>
      blob({
        stream() {
          scene.fire()
          return Readable.from([Buffer.from('body')])
        },
      }),
    ),
    place('the size of a Blob', 'culprit', (scene) =>
      blob({
        get size() {
          scene.fire()
          return 4
        },
      }),
    ),
  ]
}

function signalPlaces(): Place[] {
  const place = (method: string, onThrow: Place['onThrow']): Place => ({
    name: `the ${method} method of what looks like a signal`,
    onThrow,
    // Nobody can abort by this signal.
    isOver: true,
    set(scene) {
      const signal = { addEventListener() {}, removeEventListener() {}, [method]: () => scene.fire() }
      Object.assign(scene.culpritOptions, { signal })
    },
  })
  return [place('addEventListener', 'culprit'), place('removeEventListener', 'ignored')]
}

function endPlaces(): Place[] {
  return (['close', 'destroy'] as const).map((method) => ({
    name: `the callback of ${method}()`,
    onThrow: 'surfaces',
    isOver: true,
    set(scene) {
      scene.atEnd = () => {
        scene.promises.push(new Promise<void>((resolve) => scene.agent[method](() => fireThen(scene, resolve))))
        scene.promises.push(scene.agent[method]())
      }
    },
  }))
}

export const places: readonly Place[] = [
  ...connectPlaces(),
  ...lookupPlaces(),
  identityPlace,
  ...eventPlaces(),
  ...channelPlaces(),
  ...callbackPlaces(),
  ...bodyPlaces(),
  ...signalPlaces(),
  ...endPlaces(),
]
