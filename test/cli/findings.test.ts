/** What works here: each finding, good and bad, and what is said of this host. */
import { describe, expect, it } from 'vitest'
import {
  type Finding,
  ofChoice,
  ofDissolving,
  ofKoffi,
  ofNode,
  ofOpenFiles,
  ofPlatform,
  ofPorts,
  ofTls,
  ofUndici,
} from '../../src/cli/findings.js'
import { painter } from '../../src/cli/output.js'
import { printFindings } from '../../src/cli/print-findings.js'
import { localPorts, openFileLimit } from '../../src/cli/system.js'
import { tlsReport } from '../../src/cli/tls-report.js'
import { isNative } from '../support/transport.js'
import { Collected, run } from './collected.js'

const inventory = (missing: string[]): Parameters<typeof ofKoffi>[0] => ({
  value: { version: '3.3.4', binary: '/koffi.node', missing },
})

describe('a finding', () => {
  it.each<[finding: Finding, state: string, words: RegExp]>([
    [ofPlatform('linux', 'arm64'), 'good', /Linux on arm64/],
    [ofPlatform('linux', 'riscv64'), 'note', /Linux on riscv64/],
    [ofPlatform('darwin', 'arm64'), 'bad', /darwin/],
    [ofNode('20.18.1'), 'good', /20\.18\.1/],
    [ofNode('26.0.0'), 'good', /26/],
    [ofNode('20.18.0'), 'bad', /20\.18\.0/],
    [ofNode('18.20.8'), 'bad', /18/],
    [ofUndici('8.13.1'), 'good', /8\.13\.1/],
    [ofUndici('6.21.0'), 'bad', /6\.21\.0/],
    [ofUndici(null), 'bad', /not found/],
    [ofKoffi({ failure: 'no such module' })[0]!, 'bad', /no such module/],
    [ofKoffi(inventory([]))[0]!, 'good', /3\.3\.4, \/koffi\.node/],
    [ofKoffi(inventory(['uv_walk']))[1]!, 'bad', /24 of 25 are there, not uv_walk/],
    [ofDissolving({ value: undefined }), 'good', /works/],
    [ofDissolving({ failure: 'connect EAFNOSUPPORT' }), 'bad', /EAFNOSUPPORT/],
    [ofTls({ isNative: true, why: null }), 'good', /OpenSSL/],
    [ofTls({ isNative: false, why: 'the option tlsTransport' }), 'note', /TLSSocket/],
    [ofOpenFiles(1024), 'note', /at most 1024/],
    [ofOpenFiles(Number.POSITIVE_INFINITY), 'good', /unlimited/],
    [ofOpenFiles(null), 'note', /not known/],
    [ofPorts({ first: 32768, last: 60999 }), 'good', /32768 to 60999/],
    [ofPorts({ first: 60000, last: 60999 }), 'note', /60000/],
    [ofPorts(null), 'note', /not known/],
  ])('%j', ({ state, found, advice }, expected, words) => {
    expect(state).toBe(expected)
    expect(found).toMatch(words)
    // Whatever is not as it should be has something to do about it, in one line.
    if (state !== 'good') expect(advice).toMatch(/^[^\n]+$/)
  })

  it.each([
    [{ transport: 'native', why: null }, { requests: 5, created: 1, recycled: 4 }, true, /created 1, recycled 4/],
    [{ transport: 'native', why: null }, { requests: 5, created: 5, recycled: 0 }, false, /recycled 0/],
    [{ transport: 'native', why: null }, 'listen EPERM', false, /failed: listen EPERM/],
    [{ transport: 'net', why: 'RECYCLING_AGENT_TRANSPORT=net is set' }, 'not tried', false, /ordinary sockets/],
    [{ transport: 'net', why: 'koffi cannot be loaded' }, 'not tried', false, /koffi cannot be loaded/],
  ] as const)('of the transport %j with %j says whether sockets are recycled', (choice, trial, isRecycling, words) => {
    const { isRecycling: found, findings } = ofChoice(choice, trial)
    expect(found).toBe(isRecycling)
    expect(findings.at(-1)!.found).toMatch(words)
    expect(findings.at(-1)!.advice === null).toBe(isRecycling)
  })
})

it.each([
  ['Max open files            1024                 1048576              files     \n', 1024],
  ['Max open files            unlimited            unlimited            files     \n', Number.POSITIVE_INFINITY],
  ['', null],
  [null, null],
])('the limit of open files in %j is %s', (limits, limit) => {
  expect(openFileLimit(limits)).toBe(limit)
})

it.each([
  ['32768\t60999\n', { first: 32768, last: 60999 }],
  ['', null],
  [null, null],
])('the local ports in %j are %j', (range, ports) => {
  expect(localPorts(range)).toEqual(ports)
})

describe('without arguments', () => {
  const NAMES = ['platform', 'kernel', 'Node.js', 'undici', 'koffi', 'symbols', 'dissolving', 'TLS']
  const LIMITS = ['open files', 'local ports']

  it('says what works here, and exits with 0 where sockets are recycled, else with 1', async () => {
    const { status, stdout, stderr } = await run([])
    expect({ status, stderr }).toEqual({ status: isNative ? 0 : 1, stderr: '' })
    const last = isNative ? ['transport', 'trial'] : ['transport']
    for (const name of [...NAMES, ...LIMITS, ...last])
      expect(stdout).toMatch(new RegExp(`^(ok|note|no) +${name} `, 'm'))
    expect(stdout).toContain(isNative ? 'Sockets are recycled here.' : 'Sockets are not recycled here.')
    expect(stdout).not.toContain('\x1b')
  })

  it('says it in JSON, too', async () => {
    const { stdout } = await run(['--json'])
    const { isRecycling, findings } = JSON.parse(stdout)
    expect(isRecycling).toBe(isNative)
    expect(findings.map(({ name }: Finding) => name).slice(0, 10)).toEqual([...NAMES, ...LIMITS])
    const { isNative: isTlsNative } = tlsReport()
    expect(findings.find(({ name }: Finding) => name === 'TLS').state).toBe(isTlsNative ? 'good' : 'note')
  })

  it('says what is wrong, and what to do about it, below each other', () => {
    const findings = [ofNode('18.20.8'), ofUndici('7.30.2')]
    expect(printFindings({ isRecycling: false, findings }, painter(new Collected()))).toBe(
      [
        'no  Node.js  18.20.8',
        '        -> use Node.js 20.18.1 or later',
        'ok  undici   7.30.2',
        '',
        'Sockets are not recycled here.',
        'RecyclingAgent works over ordinary sockets all the same, wherever undici does.',
        '',
      ].join('\n'),
    )
  })

  it('has colours on a terminal', async () => {
    expect((await run([], true)).stdout).toContain('\x1b[32mok\x1b[39m')
  })
})
