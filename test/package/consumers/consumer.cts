/** A TypeScript consumer, as CommonJS: it is type-checked against the installed package, and then run. */
import recycling = require('recycling-agent')
import undici = require('undici')

const { install, RecyclingAgent, RecyclingPool, SocketPool } = recycling

async function main(): Promise<void> {
  const agent: undici.Dispatcher = new RecyclingAgent({ connections: 4, connect: { timeout: 1000 } })
  const { statusCode, body } = await undici.request(process.argv[2]!, { dispatcher: agent })
  const text: string = await body.text()
  await agent.close()
  const names: string[] = [install, RecyclingAgent, RecyclingPool, SocketPool].map(({ name }) => name)
  console.log(JSON.stringify({ statusCode, text, names }))
}
main()
// @ts-expect-error: a mode that there is not
export const wrong = (): unknown => new RecyclingAgent({ recycle: 'sometimes' })
