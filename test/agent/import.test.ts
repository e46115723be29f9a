/** Who only imports the package, or gives an agent to one client, changes nothing for the rest of the process. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Program } from '../support/child.js'
import { rawServer } from '../support/raw-server.js'

let program: Program

beforeAll(async () => {
  program = await Program.from(new URL('./programs/import.ts', import.meta.url))
})

afterAll(() => program.delete())

it("leaves the global dispatcher alone, and has undici's classes and methods", async () => {
  const { origin } = await rawServer(async (peer) => {
    for (let request = await peer.request(); request !== null; request = await peer.request()) {
      const text = request.fields['content-length'] ?? 'no length'
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`)
    }
  })
  const { code, stdout, stderr } = await program.run({ args: [origin] })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { answers, ...rest } = JSON.parse(stdout)
  // undici 6, which the built-in fetch of Node.js 20 and 22 is, sends its own length along; nobody says no to it.
  expect(answers).toEqual(['no length', 'no length', expect.stringMatching(/^5(, 5)?$/)])
  expect(rest).toEqual({
    before: [false, false],
    imported: [false, false],
    used: [false, false],
    // That of Node.js itself.
    fetching: expect.arrayContaining([true]),
    isUndicis: { instances: true, errors: true, methods: true, global: 'function' },
  })
})
