// An agent for some requests and not for all: as the `dispatcher` of single calls, and of the client of an API. What
// does not name the agent goes over the global dispatcher, as before.
// Run `npm run build` first, then `node examples/per-client.mjs`.
import OpenAI from 'openai'
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'
import { startUpstream } from './support/upstream.mjs'

const upstream = await startUpstream((request, response) => {
  if (request.url === '/hello') return response.end('hello\n')
  // What stands in for the API.
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: 'Forty-two.' } }] }))
})
const agent = new RecyclingAgent({
  // The options of undici's Agent. Here: at most four connections to an origin, further requests wait.
  connections: 4,
  headersTimeout: 10_000,
})

// Node's fetch and undici's functions take the dispatcher with each call.
for (let i = 0; i < 3; i++) {
  await (await fetch(`${upstream.origin}/hello`, { dispatcher: agent })).text()
  await (await request(`${upstream.origin}/hello`, { dispatcher: agent })).body.text()
}
report('fetch and request')

// A client that is built on fetch has some option by which it passes `dispatcher` on; docs/clients.md lists many.
const client = new OpenAI({ apiKey: 'none', baseURL: upstream.origin, fetchOptions: { dispatcher: agent } })
for (let i = 0; i < 3; i++) {
  const { choices } = await client.chat.completions.create({
    model: 'any',
    messages: [{ role: 'user', content: 'What do you get if you multiply six by nine?' }],
  })
  if (i === 0) console.log(`the client was told: ${choices[0].message.content}`)
}
report('with the client')

// This one does not name the agent.
await (await fetch(`${upstream.origin}/hello`)).text()
console.log(`the upstream has accepted ${upstream.connections()} connections`)

await agent.close()
await upstream.close()

function report(when) {
  const { fresh, recycled } = agent.stats.sockets
  console.log(`${when}: ${fresh + recycled} connections, ${recycled} of them on a recycled socket`)
}
