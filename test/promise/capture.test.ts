/** What each mode promises about the segments on the wire, as an outsider sees them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import type { RecycleMode } from '../../src/socket-pool/socket-pool.js'
import { Capture, type Segment, whyNoCapture } from '../support/capture.js'
import { get, quiet } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { whyNotNative } from '../support/transport.js'
import { nginxCommand, startClosingNginx, startNodeUpstream, type Upstream } from '../support/upstream.js'

const REQUESTS = 8

const upstreams: [string, () => Promise<Upstream>][] = [['node:http', () => startNodeUpstream()]]
if (nginxCommand === undefined) console.info('not tried with nginx, which is not installed')
else upstreams.push(['nginx', startClosingNginx])

/** From one connection's initial sequence number to the next one's. */
function stepsOf(segments: Segment[]): number[] {
  const initial = segments.filter(({ syn, ack }) => syn && !ack).map(({ sequence }) => sequence)
  return initial.slice(1).map((sequence, i) => (sequence - initial[i]! + 2 ** 32) % 2 ** 32)
}

/** As after a connection on the same socket that was much shorter than this. */
const isNear = (step: number): boolean => step < 2 ** 24

/** A connection's segments as words, such as `client SYN` or `server data FIN`; bare acknowledgements are left out. */
function describeSegments(segments: Segment[], port: number): string[] {
  return segments
    .map(({ sourcePort, syn, ack, fin, reset, length }) => {
      const words = [sourcePort === port ? 'server' : 'client']
      if (syn) words.push(ack ? 'SYN-ACK' : 'SYN')
      if (length > 0) words.push('data')
      if (fin) words.push('FIN')
      if (reset) words.push('RST')
      return words.join(' ')
    })
    .filter((words) => words.includes(' '))
}

describe.runIf(isTried(whyNotNative ?? whyNoCapture)).each(upstreams)(
  'the segments of connections to %s',
  (_name, start) => {
    let upstream: Upstream

    beforeAll(async () => {
      upstream = await start()
    })

    afterAll(() => upstream.close())

    /** @returns the connections, in the order of their first segments */
    async function record(recycle: RecycleMode): Promise<{ connections: string[][]; all: Segment[] }> {
      const capture = await Capture.start(upstream.port)
      const agent = new RecyclingAgent({ recycle })
      for (let i = 0; i < REQUESTS; i++) {
        await get(agent, upstream.origin)
        await quiet(agent)
      }
      const all = await capture.stop()
      await agent.destroy()
      const byPort = new Map<number, Segment[]>()
      for (const segment of all) {
        const { sourcePort, destinationPort } = segment
        const port = sourcePort === upstream.port ? destinationPort : sourcePort
        byPort.set(port, [...(byPort.get(port) ?? []), segment])
      }
      expect(byPort.size).toBe(REQUESTS)
      return { connections: [...byPort.values()].map((segments) => describeSegments(segments, upstream.port)), all }
    }

    /** Every connection begins with them. */
    const opening = ['client SYN', 'server SYN-ACK', 'client data']

    it('are, in mode dissolve, a handshake, data, the FIN of the server, and a single RST of the client', async () => {
      const { connections, all } = await record('dissolve')
      for (const words of connections) {
        expect(words.slice(0, 3)).toEqual(opening)
        const fin = words.findIndex((word) => /^server.* FIN$/.test(word))
        expect(fin).toBeGreaterThan(2)
        expect(words.slice(3, fin + 1).every((word) => word.startsWith('server '))).toBe(true)
        expect(words.slice(fin + 1)).toEqual(['client RST'])
      }
      // The next connection begins after the reset of the one before.
      const marks = all
        .filter(({ syn, ack, reset }) => reset || (syn && !ack))
        .map(({ reset }) => (reset ? 'RST' : 'SYN'))
      expect(marks).toEqual(Array.from({ length: REQUESTS }, () => ['SYN', 'RST']).flat())
      // It begins where that one has ended: why a socket has one peer for life (RFC 6528).
      expect(stepsOf(all).every(isNear)).toBe(true)
      expect(upstream.complaints()).toEqual([])
    })

    it('are, in mode graceful, FINs of both sides, and no RST before them', async () => {
      const { connections } = await record('graceful')
      for (const words of connections) {
        expect(words.slice(0, 3)).toEqual(opening)
        const fins = words.filter((word) => word.endsWith('FIN')).map((word) => word.split(' ')[0])
        expect(fins).toEqual(['server', 'client'])
        const firstReset = words.findIndex((word) => word.includes('RST'))
        const lastFin = words.findLastIndex((word) => word.endsWith('FIN'))
        if (firstReset >= 0) expect(firstReset).toBeGreaterThan(lastFin)
      }
      expect(upstream.complaints()).toEqual([])
    })

    it('are, in mode off, FINs of both sides, and no RST', async () => {
      const { connections, all } = await record('off')
      expect(stepsOf(all).every(isNear)).toBe(false)
      for (const words of connections) {
        expect(words.slice(0, 3)).toEqual(opening)
        expect(words.filter((word) => word.endsWith('FIN'))).toHaveLength(2)
        expect(words.filter((word) => word.includes('RST'))).toEqual([])
      }
      expect(upstream.complaints()).toEqual([])
    })
  },
)
