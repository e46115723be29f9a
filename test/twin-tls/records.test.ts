/** Records as TCP brings them: in pieces of every size, together, late, and with faults that TLS has to see. */
import { describe, expect, it } from 'vitest'
import { seedOf } from '../support/random.js'
import { ok } from '../support/raw-server.js'
import { inPieces, type Shape, splitAt, tlsMangler } from '../support/tls-mangler.js'
import { Holder } from '../support/x509.js'
import { contenders } from './contenders.js'
import { fuzzRecords } from './record-fuzz.js'
import { type Play, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const server = authority.issue().identity()
const BODY = 'x'.repeat(500)
const CLOSING = ok(BODY, 'connection: close\r\n')

/** A request for each of the shapes in which the server's bytes come, and one for each in which the client's go. */
const shaped =
  (version: 'TLSv1.2' | 'TLSv1.3', shapes: readonly Shape[]): Play =>
  async (stage) => {
    const { port } = await stage.server({ ...server, minVersion: version, maxVersion: version }, CLOSING)
    const asItIs: Shape = (chunk) => [chunk]
    let next = 0
    const relay = await tlsMangler(port, () => {
      const shape = shapes[next++ % shapes.length]!
      return next % 2 === 0
        ? { towardsClient: asItIs, towardsServer: shape }
        : { towardsClient: shape, towardsServer: asItIs }
    })
    stage.knows(relay.port)
    const agent = stage.agent({ ca, maxCachedSessions: 0 })
    for (let i = 0; i < shapes.length; i++) await stage.get(agent, { port: relay.port })
    await relay.close()
  }

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', (version) => {
  twin(`${version}: pieces of one byte`, 'answer', shaped(version, [inPieces(1), inPieces(1)]))
  twin(
    `${version}: pieces of a few bytes`,
    'answer',
    shaped(
      version,
      [2, 3, 4, 5, 6, 7].flatMap((size) => [inPieces(size), inPieces(size)]),
    ),
  )
  twin(
    `${version}: cut within heads of records`,
    'answer',
    shaped(
      version,
      Array.from({ length: 14 }, (_, i) => splitAt(i >> 1)),
    ),
  )
})

describe.each(contenders)('$name', (contender) => {
  it('faults in the bytes of a connection are seen by TLS: documented errors, no hang, nothing that was not sent', async () => {
    const { done, answered, failures } = await fuzzRecords({
      contender,
      seed: seedOf('records'),
      connections: 200,
      timeMs: 8000,
    })
    expect(failures).toEqual([])
    expect(done).toBeGreaterThan(0)
    // Some faults lie behind the last byte.
    expect(answered).toBeLessThan(done)
  })
})
