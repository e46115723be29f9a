/** Upstreams are measured, and what they are like is seen; with real servers on this host. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Measurement } from '../../src/cli/measurement.js'
import { measure } from '../../src/cli/measurement.js'
import { type Certificate, selfSigned } from '../support/certificates.js'
import { collectGarbage } from '../support/heap.js'
import { ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'
import { isNative } from '../support/transport.js'
import { startNodeUpstream } from '../support/upstream.js'
import { run } from './collected.js'
import { answeringStatus, closing, closingSilently, keeping, startUpstream } from './upstreams.js'

const REQUESTS = 40
const FEW = [`--requests=${REQUESTS}`, '--concurrency=2', '--insecure']

let certificate: Certificate

beforeAll(async () => {
  certificate = await selfSigned('127.0.0.1')
})

async function measured(server: RawServer): Promise<Measurement> {
  const { status, stdout, stderr } = await run([server.origin, ...FEW, '--json'])
  expect({ status, stderr: stderr.split('\n').length }).toEqual({ status: 0, stderr: 4 })
  return JSON.parse(stdout)
}

/** What TIME_WAIT there is in all. */
const left = ({ timeWait }: Measurement['undici']): number => timeWait!.client + timeWait!.upstream

describe('an upstream', { timeout: 60_000 }, () => {
  it.each([
    ['http', 'announces it', closing, true],
    ['http', 'does not announce it', closingSilently, false],
    ['https', 'announces it', closing, true],
  ] as const)('of %s that closes its connections and %s is seen to', async (scheme, _how, serve, announces) => {
    const server = await startUpstream(serve, scheme === 'https' ? certificate : undefined)
    const { upstream, transport, tls, undici, recycling, recommendation } = await measured(server)
    expect(upstream).toMatchObject({ url: `${server.origin}/`, status: 200, keeps: false, announces })
    const secure = { tls: 'TLSv1.3', resumes: true }
    expect(upstream).toMatchObject(scheme === 'https' ? secure : { tls: null, resumes: null })
    expect(tls).toEqual(scheme === 'https' ? { isNative: expect.any(Boolean), why: null } : null)
    expect(transport.transport).toBe(isNative ? 'native' : 'net')
    for (const client of [undici, recycling]) {
      expect(client.requests).toBe(REQUESTS)
      expect(client.cpuMicrosecondsPerRequest).toBeGreaterThan(0)
      expect(client.latencyMs.median).toBeGreaterThan(0)
      expect(client.latencyMs.p99).toBeGreaterThanOrEqual(client.latencyMs.median)
    }
    expect(recycling.lost).toBe(0)
    expect(undici.created + undici.lost).toBeGreaterThanOrEqual(REQUESTS)
    expect(left(undici)).toBeGreaterThan(REQUESTS / 2)
    if (isNative) {
      expect(recycling.recycled).toBeGreaterThan(REQUESTS / 2)
      expect(recycling.created + recycling.recycled).toBe(REQUESTS)
      expect(left(recycling)).toBe(0)
    } else {
      expect(recycling).toMatchObject({ created: REQUESTS, recycled: 0 })
      expect(recommendation.text[0]).toMatch(/^It does not help you here, .* RECYCLING_AGENT_TRANSPORT=net is set\.$/)
    }
  })

  it.each(['http', 'https'] as const)('of %s that keeps its connections is seen to', async (scheme) => {
    const server = await startUpstream(keeping, scheme === 'https' ? certificate : undefined)
    const { upstream, undici, recycling } = await measured(server)
    const resumes = scheme === 'https' ? true : null
    expect(upstream).toMatchObject({ keeps: true, announces: null, resumes })
    // A few requests may find no connection free.
    expect(undici.created).toBeLessThan(REQUESTS / 2)
    expect(recycling.created).toBeLessThan(REQUESTS / 2)
    expect(recycling.recycled).toBeLessThan(REQUESTS / 2)
  })

  it('with an IPv6 address has its TIME_WAIT counted, too', async () => {
    const { undici, recycling } = await measured(await rawServer(closing, { host: '::1' }))
    expect(left(undici)).toBeGreaterThan(REQUESTS / 2)
    expect(left(recycling) === 0).toBe(isNative)
  })

  it('of HTTP/1.0 announces the end by the lack of a length', async () => {
    const server = await startUpstream(async (peer) => {
      if ((await peer.request()) !== null) peer.socket.end('HTTP/1.0 200 OK\r\n\r\nok')
    })
    expect((await measured(server)).upstream).toMatchObject({ keeps: false, announces: true })
  })

  it('that answers the first request of each connection only is no keeper', async () => {
    const server = await startUpstream(async (peer) => {
      if ((await peer.request()) !== null) peer.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      if ((await peer.request()) !== null) peer.socket.resetAndDestroy()
    })
    expect((await measured(server)).upstream).toMatchObject({ keeps: false, announces: false })
  })

  it('gets what was asked for, and as much as was said before', async () => {
    const server = await startUpstream(keeping)
    const argv = [`${server.origin}/a/b?c=d`, ...FEW, '--method=options', '--header=X-Token: secret']
    const { status, stdout, stderr } = await run(argv)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.replaceAll('\n', ' ')).toMatch(
      /^Sends OPTIONS \/a\/b\?c=d to http:\/\/127\.0\.0\.1:\d+, with x-token: up to 3 requests to look at it, then 40 with undici's Agent and 40 with RecyclingAgent in turns, 2 at a time\. /,
    )
    expect(stdout).not.toContain('secret')
    const { requests } = server
    expect(requests.length).toBeGreaterThan(2 * REQUESTS)
    expect(requests.length).toBeLessThanOrEqual(2 * REQUESTS + 3)
    for (const { head, fields } of requests) {
      expect(head).toMatch(/^OPTIONS \/a\/b\?c=d HTTP\/1\.1\r\n/)
      expect(fields['x-token']).toBe('secret')
    }
  })

  it('that answers with an error is measured, and the table says so', async () => {
    const server = await startUpstream(answeringStatus('404 Not Found'))
    const { status, stdout } = await run([server.origin, ...FEW])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^answers +404: the figures are those of such answers$/m)
    for (const row of [
      'CPU time for a request',
      'latency, 99th percentile',
      'sockets recycled',
      'TIME_WAIT here, the client',
    ]) {
      expect(stdout).toContain(row)
    }
  })

  it('over TLS has rows of its own', async () => {
    const server = await startUpstream(keeping, certificate)
    const { stdout } = await run([server.origin, ...FEW])
    expect(stdout).toContain('Its certificate is not')
    expect(stdout).toMatch(/^TLS +TLSv1\.3, made by /m)
    expect(stdout).toMatch(/^resumes TLS sessions +yes$/m)
  })

  it('over TLS that resumes sessions is seen to, even if garbage is collected meanwhile', async () => {
    const collecting = async (peer: RawPeer): Promise<void> => {
      while ((await peer.request()) !== null) {
        collectGarbage()
        peer.write(ok())
      }
    }
    const { upstream } = await measured(await startUpstream(collecting, certificate))
    expect(upstream).toMatchObject({ keeps: true, tls: 'TLSv1.3', resumes: true })
  })

  it('on a terminal has a line of progress, which is gone in the end', async () => {
    const server = await startUpstream(keeping)
    const { stderr } = await run([server.origin, ...FEW], true)
    expect(stderr).toContain('looking at the upstream')
    expect(stderr).toContain("0 of 80 requests, now with undici's Agent")
    expect(stderr).toMatch(/now with RecyclingAgent/)
    expect(stderr.endsWith('\r\x1b[K')).toBe(true)
  })
})

describe('one line, and status 2,', () => {
  const CERTIFICATE =
    /^recycling-agent: the certificate of 127\.0\.0\.1:\d+ does not verify \(DEPTH_ZERO_SELF_SIGNED_CERT/

  it.each<[what: string, start: () => Promise<string>, line: RegExp]>([
    [
      'for a port where nobody listens',
      async () => 'http://127.0.0.1:1/',
      /^recycling-agent: no answer from 127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1\n$/,
    ],
    [
      'for a name that nobody has',
      async () => 'http://upstream.invalid/',
      /no answer from upstream\.invalid: .*upstream/,
    ],
    [
      'for a certificate that does not verify',
      async () => (await startUpstream(keeping, certificate)).origin,
      CERTIFICATE,
    ],
    [
      'for http where https was asked for',
      async () => {
        const { origin, close } = await startNodeUpstream()
        onTestFinished(close)
        return origin.replace('http', 'https')
      },
      /does not speak TLS as it should \(\w+\): is it http:\/\/ there\?/,
    ],
    [
      'for what is no HTTP',
      async () => (await startUpstream((peer) => peer.socket.end('220 mail ready\r\n'))).origin,
      /no answer from 127\.0\.0\.1:\d+: /,
    ],
    [
      'for an upstream that has enough',
      async () => (await startUpstream(answeringStatus('429 Too Many Requests'))).origin,
      /answers 429: it has enough of requests/,
    ],
  ])('%s', async (_what, start, line) => {
    const { status, stderr } = await run([await start(), '--requests=20', '--concurrency=1'])
    expect(status).toBe(2)
    expect(stderr).toMatch(line)
    expect(stderr.match(/\n/g)).toHaveLength(1)
  })

  it('for a field that HTTP has for itself', async () => {
    const server = await startUpstream(keeping)
    const { status, stderr } = await run([server.origin, '--header=transfer-encoding: chunked'])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(/the request cannot be sent: .*transfer-encoding/),
    })
    expect(server.requests).toEqual([])
  })

  it('for one that is too slow', async () => {
    const server = await startUpstream(keeping)
    const load = { requests: 20, concurrency: 1, method: 'GET', headers: {}, isInsecure: false }
    await expect(measure({ url: new URL(server.origin), ...load }, { limitMs: 0 })).rejects.toThrow(/is too slow/)
  })
})
