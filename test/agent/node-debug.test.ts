/** NODE_DEBUG=undici makes undici print what its diagnostics channels say. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Program } from '../support/child.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

let program: Program

beforeAll(async () => {
  program = await Program.from(new URL('./programs/node-debug.ts', import.meta.url))
})

afterAll(() => program.delete())

it.each(['undici', 'fetch'])(
  'prints the requests of the agent as those of undici for NODE_DEBUG=%s',
  async (section) => {
    const { origin, port } = await rawServer(answering(ok()))
    const [expected, seen] = await Promise.all(
      ['undici', 'recycling'].map(async (which) => {
        const { stderr } = await program.run({ under: ['env', `NODE_DEBUG=${section}`], args: [which, origin] })
        return stderr
          .trim()
          .replaceAll(/ \d+: /g, ': ')
          .split('\n')
      }),
    )
    const name = section.toUpperCase()
    const words = [
      `${name}: connecting to 127.0.0.1:${port}:${port} using http:undefined`,
      `${name}: connected to 127.0.0.1:${port}:${port} using http:h1`,
      `${name}: sending request to GET ${origin}/path?query`,
      `${name}: received response to GET ${origin}/path?query - HTTP 200`,
      `${name}: trailers received from GET ${origin}/path?query`,
      `${name}: connecting to 127.0.0.1:1:1 using http:undefined`,
      `${name}: connection to 127.0.0.1:1:1 using http:undefined errored - connect ECONNREFUSED 127.0.0.1:1`,
      `${name}: request to GET http://127.0.0.1:1/ errored - connect ECONNREFUSED 127.0.0.1:1`,
    ]
    expect(expected).toEqual(expect.arrayContaining(words))
    // Node's own undici prints them in its words, too, when npm's has loaded it.
    expect(seen).toEqual(words)
  },
)
