// WebSockets: undici's WebSocket takes the agent as its option `dispatcher`, as the one of Node.js 22 and later does.
// Run `npm run build` first, then `node examples/websocket.mjs`.
import { once } from 'node:events'
import { RecyclingAgent } from 'recycling-agent'
import { WebSocket } from 'undici'
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
await once(server, 'listening')
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

const agent = new RecyclingAgent()
const socket = new WebSocket(`ws://127.0.0.1:${server.address().port}/`, { dispatcher: agent })
socket.binaryType = 'arraybuffer'
await once(socket, 'open')

socket.send('hello')
const [text] = await once(socket, 'message')
console.log(`text: ${text.data}`)

socket.send(new Uint8Array(1_000_000))
const [binary] = await once(socket, 'message')
console.log(`binary: ${binary.data.byteLength} bytes`)

// The agent has made the connection and the upgrade; from then on the socket is the WebSocket's own. It is not
// recycled, and it is not the agent's to close.
const { fresh, closed } = agent.stats.sockets
console.log(`sockets: ${fresh} created, ${closed} given away`)

socket.close(1000, 'done')
const [{ code, reason, wasClean }] = await once(socket, 'close')
console.log(`closed: ${code} ${reason}, ${wasClean ? 'clean' : 'not clean'}`)

await agent.close()
server.close()
