/** WebSockets over the dispatcher, undici's and Node's own, against a server of the `ws` package; and EventSource. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  type Dispatcher,
  EventSource,
  getGlobalDispatcher,
  setGlobalDispatcher,
  WebSocket as UndiciWebSocket,
} from 'undici'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type ServerOptions, type WebSocket as ServerSocket, WebSocketServer } from 'ws'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { listenDuringTest } from '../support/local-server.js'
import { type SelfSigned, selfSigned } from '../support/self-signed.js'

let certificate: SelfSigned

beforeAll(async () => {
  certificate = await selfSigned()
})

expectNoDescriptorLeft()

type Client = UndiciWebSocket
type ClientClass = new (url: string, options?: { dispatcher?: Dispatcher; protocols?: string[] }) => Client

const builtIn = (globalThis as { WebSocket?: ClientClass }).WebSocket
if (builtIn === undefined) console.info(`Node's own WebSocket is not tested: Node ${process.version} has none`)

const clients: [name: string, WebSocket: ClientClass][] = [
  ["undici's WebSocket", UndiciWebSocket as unknown as ClientClass],
  ...(builtIn === undefined ? [] : [["Node's WebSocket", builtIn] as [string, ClientClass]]),
]

const cases = clients.flatMap(([client, WebSocket]) =>
  dispatchers.map(([name, make]) => [client, name, WebSocket, make] as const),
)

interface Server {
  url: string
  /** Resolves with the server's end of the first connection. */
  accepted: Promise<ServerSocket>
}

async function serve(
  onConnection: (socket: ServerSocket) => void,
  { isSecure = false, ...options }: ServerOptions & { isSecure?: boolean } = {},
): Promise<Server> {
  const server = isSecure ? createSecureServer(certificate) : createServer()
  const sockets = new WebSocketServer({ server, ...options })
  const accepted = new Promise<ServerSocket>((resolve) => sockets.once('connection', resolve))
  sockets.on('connection', (socket) => {
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return { url: `${isSecure ? 'wss' : 'ws'}://127.0.0.1:${port}`, accepted }
}

/** Sends back what it gets. */
const echo = (socket: ServerSocket): void => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}

const happened = <E extends Event>(target: EventTarget, type: string): Promise<E> =>
  new Promise((resolve) => target.addEventListener(type, (event) => resolve(event as E), { once: true }))

async function opened(socket: Client): Promise<Client> {
  socket.binaryType = 'arraybuffer'
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('close', ({ code }) => reject(new Error(`closed with ${code} instead`)))
  })
  return socket
}

async function answerTo(socket: Client, data: string | Uint8Array): Promise<unknown> {
  const message = happened<MessageEvent>(socket as unknown as EventTarget, 'message')
  socket.send(data as string)
  return (await message).data
}

async function closeOf(socket: Client): Promise<{ code: number; reason: string; wasClean: boolean }> {
  const { code, reason, wasClean } = await happened<CloseEvent>(socket as unknown as EventTarget, 'close')
  return { code, reason, wasClean }
}

/** Not every undici closes a socket that was never open. */
async function failure(socket: Client): Promise<void> {
  await happened(socket as unknown as EventTarget, 'error')
}

type CloseEvent = Event & { code: number; reason: string; wasClean: boolean }

describe.each(cases)('%s through %s', (_client, name, WebSocket, make) => {
  it('exchanges text and bytes', async () => {
    const { url } = await serve(echo)
    const dispatcher = make()
    const socket = await opened(new WebSocket(url, { dispatcher }))
    expect(await answerTo(socket, 'Grüße')).toBe('Grüße')
    expect(Buffer.from((await answerTo(socket, Buffer.from([0, 1, 255]))) as ArrayBuffer)).toEqual(
      Buffer.from([0, 1, 255]),
    )
    expect(await answerTo(socket, '')).toBe('')
    if (name === 'RecyclingAgent') {
      const { sockets } = (dispatcher as ReturnType<typeof recyclingAgent>).stats
      expect(sockets).toMatchObject({ fresh: 1, leased: 0, closed: 1 })
    }
    socket.close()
    await closeOf(socket)
  })

  it('speaks the subprotocol that was agreed on', async () => {
    const { url } = await serve(echo, { handleProtocols: () => 'second' })
    const socket = await opened(new WebSocket(url, { dispatcher: make(), protocols: ['first', 'second'] }))
    expect(socket.protocol).toBe('second')
    socket.close()
    await closeOf(socket)
  })

  it.each([false, true])('exchanges a megabyte both ways (permessage-deflate: %s)', async (perMessageDeflate) => {
    const { url } = await serve(echo, { perMessageDeflate })
    const socket = await opened(new WebSocket(url, { dispatcher: make() }))
    expect(socket.extensions.includes('permessage-deflate')).toBe(perMessageDeflate)
    const much = Buffer.alloc(1 << 20)
    for (let i = 0; i < much.length; i++) much[i] = (i * i) >> 8
    expect(much.equals(Buffer.from((await answerTo(socket, much)) as ArrayBuffer))).toBe(true)
    const text = much.toString('hex')
    expect((await answerTo(socket, text)) === text).toBe(true)
    socket.close()
    await closeOf(socket)
  })

  it('puts fragments together, with a ping between them', async () => {
    const { url } = await serve((socket) => {
      socket.send('one ', { fin: false })
      socket.ping('between')
      socket.send('two ', { fin: false })
      socket.send('three', { fin: true })
    })
    const socket = new WebSocket(url, { dispatcher: make() })
    // It may be there before the socket is known to be open.
    const message = happened<MessageEvent>(socket as unknown as EventTarget, 'message')
    expect((await message).data).toBe('one two three')
    socket.close()
    await closeOf(socket)
  })

  it('gets a message that came with the response', async () => {
    const { url } = await serve((socket) => {
      for (let i = 0; i < 100; i++) socket.send(`${i}`)
      socket.close(1000)
    })
    const socket = new WebSocket(url, { dispatcher: make() })
    const messages: unknown[] = []
    socket.addEventListener('message', ({ data }) => messages.push(data))
    expect(await closeOf(socket)).toEqual({ code: 1000, reason: '', wasClean: true })
    expect(messages).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`))
  })

  it('answers pings', async () => {
    const { url, accepted } = await serve(() => {})
    const socket = await opened(new WebSocket(url, { dispatcher: make() }))
    const other = await accepted
    const pong = once(other, 'pong')
    other.ping('are you there?')
    expect(String((await pong)[0])).toBe('are you there?')
    socket.close()
    await closeOf(socket)
  })

  it('closes with a code and a reason', async () => {
    const { url, accepted } = await serve(() => {})
    const socket = await opened(new WebSocket(url, { dispatcher: make() }))
    const closed = once(await accepted, 'close')
    socket.close(4001, 'enough')
    expect(await closeOf(socket)).toEqual({ code: 4001, reason: 'enough', wasClean: true })
    expect((await closed).map(String)).toEqual(['4001', 'enough'])
  })

  it("hears the server's code and reason", async () => {
    const { url } = await serve((socket) => socket.close(4002, 'no more'))
    const socket = new WebSocket(url, { dispatcher: make() })
    expect(await closeOf(socket)).toEqual({ code: 4002, reason: 'no more', wasClean: true })
  })

  it('notices a connection that ends without a word', async () => {
    const { url, accepted } = await serve(() => {})
    const socket = await opened(new WebSocket(url, { dispatcher: make() }))
    const closed = closeOf(socket)
    ;(await accepted).terminate()
    expect(await closed).toMatchObject({ code: 1006, wasClean: false })
  })

  it('fails where the server refuses', async () => {
    const { url } = await serve(echo, { verifyClient: (_info, answer) => answer(false, 400, 'No') })
    const dispatcher = make()
    await failure(new WebSocket(url, { dispatcher }))
    await dispatcher.close()
  })

  it('fails where nobody listens', async () => {
    await failure(new WebSocket('ws://127.0.0.1:1', { dispatcher: make() }))
  })

  it('works over TLS, for those who trust the certificate', async () => {
    const { url } = await serve(echo, { isSecure: true })
    const socket = await opened(new WebSocket(url, { dispatcher: make({ connect: { ca: certificate.cert } }) }))
    expect(await answerTo(socket, 'secret')).toBe('secret')
    socket.close()
    await closeOf(socket)
    await failure(new WebSocket(url, { dispatcher: make() }))
  })

  it('outlives its dispatcher', async () => {
    const { url } = await serve(echo)
    const dispatcher = make()
    const socket = await opened(new WebSocket(url, { dispatcher }))
    await dispatcher.close()
    await dispatcher.destroy()
    expect(await answerTo(socket, 'still there')).toBe('still there')
    socket.close()
    await closeOf(socket)
  })
})

describe.each(clients)('%s', (_client, WebSocket) => {
  it('goes through the global dispatcher', async () => {
    const { url } = await serve(echo)
    const agent = useGlobally(recyclingAgent())
    const socket = await opened(new WebSocket(url))
    expect(await answerTo(socket, 'text')).toBe('text')
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 1 })
    socket.close()
    await closeOf(socket)
  })

  it('keeps to the limits that the dispatcher was given', async () => {
    const { url } = await serve((socket) => socket.send('x'.repeat(100)))
    const socket = new WebSocket(url, { dispatcher: recyclingAgent({ webSocket: { maxPayloadSize: 99 } }) })
    // undici 6, which is part of older versions of Node, knows no such limit.
    if (WebSocket !== builtIn) expect(await closeOf(socket)).toMatchObject({ wasClean: false })
    else socket.close()
  })
})

function useGlobally<D extends Dispatcher>(dispatcher: D): D {
  const before = getGlobalDispatcher()
  onTestFinished(() => setGlobalDispatcher(before))
  setGlobalDispatcher(dispatcher)
  return dispatcher
}

async function serveEvents(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listenDuringTest(createServer(listener))}`
}

describe.each(dispatchers)("undici's EventSource through %s", (_name, make) => {
  const sourceOf = (url: string, dispatcher: Dispatcher): EventSource => {
    const source = new EventSource(url, { node: { dispatcher } } as never)
    onTestFinished(() => source.close())
    return source
  }

  it('receives events of all kinds', async () => {
    const url = await serveEvents((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: first\nid: 1\n\n')
      response.write('event: named\ndata: two\ndata: lines\n\n')
    })
    const source = sourceOf(url, make())
    const message = happened<MessageEvent>(source as unknown as EventTarget, 'message')
    const named = happened<MessageEvent>(source as unknown as EventTarget, 'named')
    expect(await message).toMatchObject({ data: 'first', lastEventId: '1' })
    expect(await named).toMatchObject({ data: 'two\nlines', lastEventId: '1' })
    expect(source.readyState).toBe(EventSource.OPEN)
  })

  it('reconnects when the response ends, and says where it was', async () => {
    const seen: unknown[] = []
    const url = await serveEvents((request, response) => {
      seen.push(request.headers['last-event-id'])
      response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' })
      response.end(`retry: 1\nid: ${seen.length}\ndata: ${seen.length}\n\n`)
    })
    const source = sourceOf(url, make())
    const data: unknown[] = []
    await new Promise<void>((resolve) => {
      source.addEventListener('message', (event) => {
        data.push(event.data)
        if (data.length === 3) resolve()
      })
    })
    source.close()
    expect(data).toEqual(['1', '2', '3'])
    expect(seen.slice(0, 3)).toEqual([undefined, '1', '2'])
  })

  it('ends its connection when it is closed', async () => {
    let left = (): void => {}
    const gone = new Promise<void>((resolve) => {
      left = resolve
    })
    const url = await serveEvents((_request, response) => {
      response.once('close', left)
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    })
    const source = sourceOf(url, make())
    await happened(source as unknown as EventTarget, 'open')
    source.close()
    expect(source.readyState).toBe(EventSource.CLOSED)
    await gone
  })

  it('fails for good where the server has no events', async () => {
    const url = await serveEvents((_request, response) => void response.writeHead(204).end())
    const source = sourceOf(url, make())
    await happened(source as unknown as EventTarget, 'error')
    expect(source.readyState).toBe(EventSource.CLOSED)
  })
})

it("undici's EventSource goes through the global dispatcher", async () => {
  const url = await serveEvents((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': comment\n\n')
  })
  const agent = useGlobally(recyclingAgent())
  const source = new EventSource(url)
  await happened(source as unknown as EventTarget, 'open')
  expect(agent.stats.sockets.fresh).toBe(1)
  source.close()
})
