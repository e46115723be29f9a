/** What the environment and the flags of a process say about TLS, in processes of their own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ChildOptions, Program } from '../support/child.js'
import { isTried } from '../support/gate.js'
import { ok } from '../support/raw-server.js'
import { type SecureServer, secureServer } from '../support/secure-server.js'
import { Holder } from '../support/x509.js'
import { contenders } from './contenders.js'
import type { Wanted } from './programs/outcomes.js'

const authority = Holder.authority()
const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-tls-'))
const caFile = join(directory, 'ca.pem')
const brokenFile = join(directory, 'broken.pem')
let program: Program
let server: SecureServer

beforeAll(async () => {
  writeFileSync(caFile, authority.cert)
  writeFileSync(brokenFile, 'no certificate')
  program = await Program.from(new URL('programs/outcomes.ts', import.meta.url))
  server = await secureServer(
    { ...authority.issue().identity(), minVersion: 'TLSv1.2' },
    ok('ok', 'connection: close\r\n'),
  )
})

afterAll(async () => {
  await server.close()
  program.delete()
  rmSync(directory, { recursive: true })
})

type Setting = Pick<ChildOptions, 'env' | 'nodeFlags'>

/** With authorities of the caller's, with none, and with a wish to be strict. */
const connects = [{ ca: authority.cert }, {}, { rejectUnauthorized: true }]

/** What came of each request, undici's Agent first, then each contender. */
async function outcomesOf({ env, nodeFlags }: Setting): Promise<unknown[][]> {
  const dispatchers = [null, ...contenders.map(({ chosen }) => chosen)]
  const wanted: Wanted = { dispatchers, connects, port: server.port }
  const { code, stdout, stderr } = await program.run({
    args: [JSON.stringify(wanted)],
    ...(env !== undefined && { env }),
    ...(nodeFlags !== undefined && { nodeFlags }),
  })
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout)
}

const ANSWER = [200, 'ok']
const refused = (code: string | RegExp) => expect.objectContaining({ code: expect.stringMatching(code) })
const UNKNOWN = refused('UNABLE_TO_VERIFY_LEAF_SIGNATURE')

const knowsSystemAuthorities = process.allowedNodeEnvironmentFlags.has('--use-system-ca')

/** What comes of {@link connects}, and which version the server has seen. */
interface Expected {
  gives: unknown[]
  version?: string
  whyNot?: string | null
}
const OTHERWISE: Expected = { gives: [ANSWER, UNKNOWN, UNKNOWN] }
const TRUSTED: Expected = { gives: [ANSWER, ANSWER, ANSWER] }
const LITTLE = '--tls-cipher-list=TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256'
const NOTHING = '--tls-cipher-list=ECDHE-RSA-AES128-GCM-SHA256'
const whyNoSystem = knowsSystemAuthorities ? null : 'this Node.js has no --use-system-ca'

const settings: [name: string, setting: Setting, expected: Expected][] = [
  ['nothing', {}, OTHERWISE],
  [
    'NODE_TLS_REJECT_UNAUTHORIZED=0',
    { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } },
    { gives: [ANSWER, ANSWER, UNKNOWN] },
  ],
  ['NODE_TLS_REJECT_UNAUTHORIZED=1', { env: { NODE_TLS_REJECT_UNAUTHORIZED: '1' } }, OTHERWISE],
  ['NODE_EXTRA_CA_CERTS', { env: { NODE_EXTRA_CA_CERTS: caFile } }, TRUSTED],
  ['NODE_EXTRA_CA_CERTS of no file', { env: { NODE_EXTRA_CA_CERTS: join(directory, 'nothing') } }, OTHERWISE],
  ['NODE_EXTRA_CA_CERTS of a file without any', { env: { NODE_EXTRA_CA_CERTS: brokenFile } }, OTHERWISE],
  ['--use-openssl-ca', { nodeFlags: ['--use-openssl-ca'], env: { SSL_CERT_FILE: caFile } }, TRUSTED],
  ['--use-bundled-ca', { nodeFlags: ['--use-bundled-ca'], env: { SSL_CERT_FILE: caFile } }, OTHERWISE],
  [
    '--use-system-ca',
    { nodeFlags: ['--use-system-ca'], env: { SSL_CERT_FILE: caFile } },
    { ...TRUSTED, whyNot: whyNoSystem },
  ],
  ['--tls-max-v1.2', { nodeFlags: ['--tls-max-v1.2'] }, { ...OTHERWISE, version: 'TLSv1.2' }],
  ['--tls-min-v1.3', { nodeFlags: ['--tls-min-v1.3'] }, OTHERWISE],
  ['--tls-cipher-list', { nodeFlags: [LITTLE] }, OTHERWISE],
  [
    '--tls-cipher-list with nothing that fits',
    { nodeFlags: [NOTHING, '--tls-max-v1.2'] },
    { gives: Array(3).fill(refused(/^ERR_SSL_.*HANDSHAKE_FAILURE$/)) },
  ],
  ['--tls-keylog', { nodeFlags: [`--tls-keylog=${join(directory, 'keys')}`] }, OTHERWISE],
]

for (const [name, setting, { gives, version = 'TLSv1.3', whyNot = null }] of settings) {
  it.runIf(isTried(whyNot))(name, async () => {
    const before = server.views.length
    const [undicis, ...ours] = await outcomesOf(setting)
    expect(undicis).toEqual(gives)
    for (const [i, { name }] of contenders.entries()) expect(ours[i], name).toEqual(undicis)
    for (const { protocol } of server.views.slice(before)) expect(protocol).toBe(version)
  })
}
