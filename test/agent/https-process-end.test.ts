/** TLS connections and the life of the process. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Authority } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

let program: Program

beforeAll(async () => {
  program = await Program.from(new URL('./programs/https-idle.ts', import.meta.url))
})

afterAll(() => {
  program.delete()
})

it.each(['native', 'net'])('an idle TLS connection does not keep the process alive (%s)', async (transport) => {
  const authority = await Authority.create()
  const secure = await authority.issue(['127.0.0.1'])
  const { origin, peer } = await rawServer(answering(ok('secret', 'keep-alive: timeout=60\r\n')), { secure })
  const result = await program.run({ args: [origin, authority.ca, transport] })
  expect(result).toMatchObject({ code: 0, stdout: 'secret\nexit\n', stderr: '' })
  await (await peer(0)).ended()
})
