/** Bodies that wait to be asked for, with the servers of others: Node's, and nginx where it is installed. */
import { createServer, type RequestListener } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { bodies, ended, send, watchedStream } from '../support/expecting.js'
import { isTried } from '../support/gate.js'
import { styles } from '../support/handlers.js'
import { listenDuringTest } from '../support/local-server.js'
import { nginxCommand, startClosingNginx } from '../support/upstream.js'

expectNoDescriptorLeft()

// Nothing here follows because nobody answers.
const patient = { expectContinueTimeout: 60_000 }

/** Answers with what it has received. */
const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => response.end(Buffer.concat(chunks)))
}

async function nodeServer(onCheck?: RequestListener): Promise<string> {
  const server = createServer(echo)
  if (onCheck !== undefined) server.on('checkContinue', onCheck)
  return `http://127.0.0.1:${await listenDuringTest(server)}`
}

describe.each(styles)("Node's server (%s handlers)", (style) => {
  it.each(bodies)('asks for a body by itself: %s', async (_name, body, received, headers = {}) => {
    const agent = recyclingAgent(patient)
    const connections = countConnections(agent)
    const origin = await nodeServer()
    for (let i = 0; i < 2; i++) {
      const { done } = send(agent, { origin, body: body(), headers }, style)
      const [data, end] = (await done).slice(-2)
      expect(end).toEqual(ended)
      expect(received.test(data![1] as string)).toBe(true)
    }
    expect(connections()).toBe(1)
  })

  it('asks for it when its program does', async () => {
    const origin = await nodeServer((request, response) => {
      response.writeContinue()
      echo(request, response)
    })
    const { done } = send(recyclingAgent(patient), { origin, body: 'piece' }, style)
    expect((await done).slice(-2)).toEqual([['data', 'piece'], ended])
  })

  it('refuses it when its program does: each connection ends, and the next request has another', async () => {
    const origin = await nodeServer((_request, response) => void response.writeHead(403).end('no'))
    const agent = recyclingAgent(patient)
    const connections = countConnections(agent)
    for (let i = 1; i <= 3; i++) {
      const { stream, seen } = watchedStream()
      const sent = send(agent, { origin, body: stream }, style)
      expect((await sent.done).slice(-2)).toEqual([['data', 'no'], ended])
      expect(sent.told).toContain(403)
      expect(seen).toEqual(['destroyed'])
      expect(connections()).toBe(i)
    }
  })
})

describe.runIf(isTried(nginxCommand === undefined ? 'nginx is not installed' : null))('nginx', () => {
  async function nginx(location: string): Promise<string> {
    const upstream = await startClosingNginx(location)
    onTestFinished(() => upstream.close())
    return upstream.origin
  }

  it('asks for a body that it hands on', async () => {
    const origin = await nginx(`proxy_pass ${await nodeServer()};`)
    for (const [, body, received, headers = {}] of bodies.filter(([name]) => !/many|long/.test(name))) {
      const sent = send(recyclingAgent(patient), { origin, body: body(), headers })
      const [data, end] = (await sent.done).slice(-2)
      expect(end).toEqual(ended)
      expect(received.test(data![1] as string)).toBe(true)
    }
  })

  it('refuses one that is too large for it', async () => {
    const origin = await nginx(`client_max_body_size 1k; proxy_pass ${await nodeServer()};`)
    const { stream, seen } = watchedStream()
    const sent = send(recyclingAgent(patient), { origin, body: stream, headers: { 'content-length': '1025' } })
    expect((await sent.done).at(-1)).toEqual(ended)
    expect(sent.told).toContain(413)
    expect(seen).toEqual(['destroyed'])
  })
})
