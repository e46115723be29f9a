/** What many connections at once are like, and what idle ones cost. */
import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { MOST_SHARE, measureMemory, sharesOf } from '../soak/memory.js'
import { Program } from '../support/child.js'
import { isTried } from '../support/gate.js'
import { describeNative } from '../support/transport.js'

const CONNECTIONS = 10_000
const DESCRIPTORS = CONNECTIONS + 200

/** Why there cannot be as many, or `null`. */
const whyNotMany = process.getuid?.() === 0 ? null : 'only root may raise the limit of descriptors'

describeNative('many connections', () => {
  let server: Program
  let program: Program

  beforeAll(async () => {
    server = await Program.from(new URL('../soak/programs/gathering-upstream.ts', import.meta.url))
    program = await Program.from(new URL('../soak/programs/many-connections.ts', import.meta.url))
  })

  afterAll(() => {
    server.delete()
    program.delete()
  })

  it.runIf(isTried(whyNotMany))(
    `of one agent, ${CONNECTIONS} at once, are all served, twice`,
    async () => {
      const upstream = server.start({ descriptorLimit: DESCRIPTORS })
      try {
        const [port] = await once(upstream, 'message')
        const args = [`http://127.0.0.1:${port}`, String(CONNECTIONS)]
        const { code, signal, stdout, stderr } = await program.run({
          args,
          descriptorLimit: DESCRIPTORS,
          timeoutMs: 80_000,
        })
        expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
        const { served, connected, most, left, ms } = JSON.parse(stdout)
        console.info(`${CONNECTIONS} connections, twice: ${ms} ms`)
        expect({ served, connected, left }).toEqual({
          served: [CONNECTIONS, CONNECTIONS],
          connected: CONNECTIONS,
          left: 0,
        })
        expect(most).toBeGreaterThanOrEqual(CONNECTIONS)
      } finally {
        upstream.disconnect()
      }
    },
    90_000,
  )

  it.runIf(isTried(whyNotMany))(
    'that idle take at most a third of the memory that those of undici take',
    async () => {
      const figures = await measureMemory({ connections: [4000], rounds: 3, clients: ['ours', 'undici-pool'] })
      for (const { client, rss, rounds } of figures) console.info(`${client}: ${rss} bytes of ${rounds.join(', ')}`)
      expect(sharesOf(figures)[0]!.share).toBeLessThan(MOST_SHARE)
    },
    120_000,
  )
})
