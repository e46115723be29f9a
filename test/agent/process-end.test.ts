/** What keeps a process alive, and what surfaces in it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Authority } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { ok, rawServer } from '../support/raw-server.js'

let program: Program

beforeAll(async () => {
  program = await Program.from(new URL('./programs/process-end.ts', import.meta.url))
})

afterAll(() => {
  program.delete()
})

// After the first child process, for which Node opens descriptors of its own.
expectNoDescriptorLeft()

/** Answers at once, except to `/late`, which is after the program has nothing else to do, and tells when it was that each connection was answered and ended. */
async function serve() {
  const times = { answered: 0, ended: 0 }
  const { origin } = await rawServer(async (peer) => {
    for (;;) {
      const received = await peer.request()
      if (received === null) break
      if (received.head.startsWith('GET /late ')) await new Promise((resolve) => setTimeout(resolve, 300))
      peer.write(ok(received.head.split(' ')[1], 'keep-alive: timeout=60\r\n'))
      times.answered = performance.now()
    }
    times.ended = performance.now()
  })
  return { origin, times }
}

it('an idle connection does not keep the process alive', async () => {
  const { origin, times } = await serve()
  const result = await program.run({ args: ['idle', origin] })
  expect(result).toMatchObject({ code: 0, stdout: '/\nexit\n', stderr: '' })
  expect(times.ended - times.answered).toBeLessThan(1000)
})

it('a pending request keeps the process alive', async () => {
  const { origin } = await serve()
  expect(await program.run({ args: ['pending', origin] })).toMatchObject({
    code: 0,
    stdout: '/\n/late\nexit\n',
    stderr: '',
  })
})

describe.each(['http', 'https'])('a body larger than all buffers, over %s,', (protocol) => {
  const SIZE = 10_000_000
  const large = async (): Promise<string> => {
    const authority = await Authority.create()
    const secure = protocol === 'https' ? { secure: await authority.issue(['127.0.0.1']) } : {}
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.write(ok('x'.repeat(SIZE)))
    }, secure)
    return origin
  }

  it.each([
    ['unread fetch', '200'],
    ['unread request', '200'],
    ['read in part', 'true'],
  ])('does not keep the process alive while nobody reads it: %s', async (mode, said) => {
    const result = await program.run({ args: [mode, await large()] })
    expect(result).toMatchObject({ code: 0, stdout: `${said}\nexit\n`, stderr: '' })
  })

  it('keeps it alive again when it is read', async () => {
    const result = await program.run({ args: ['read later', await large()] })
    expect(result).toMatchObject({ code: 0, stdout: `${SIZE}\nexit\n`, stderr: '' })
  })
})

it('what the error callback throws is an uncaught exception', async () => {
  const { origin } = await serve()
  expect(await program.run({ args: ['throw', origin] })).toMatchObject({
    code: 0,
    stdout: 'uncaught: thrown for aborted\nexit\n',
    stderr: '',
  })
})
