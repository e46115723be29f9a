/** What TLS takes from the process, and what of it may change between two connections. */
import tls from 'node:tls'
import { describe, onTestFinished } from 'vitest'
import { ok } from '../support/raw-server.js'
import { Holder } from '../support/x509.js'
import { type Play, type Stage, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const server = authority.issue().identity()
const CLOSING = ok('ok', 'connection: close\r\n')

/** What Node.js 22.19 and 24.5 have. */
type WithDefaultAuthorities = typeof tls & {
  setDefaultCACertificates?: (certificates: string[]) => void
  getCACertificates?: (type: 'default') => string[]
}
const { setDefaultCACertificates, getCACertificates } = tls as WithDefaultAuthorities
const whyNoDefaultAuthorities =
  setDefaultCACertificates === undefined ? 'this Node.js has no tls.setDefaultCACertificates' : null

const assignable = tls as unknown as Record<string, unknown>

/** Assigns a default of node:tls until the work is over. */
async function assigning(key: string, value: unknown, work: () => Promise<unknown>): Promise<void> {
  const before = assignable[key]
  const restore = (): void => {
    assignable[key] = before
  }
  onTestFinished(restore)
  assignable[key] = value
  await work()
  restore()
}

/** Requests over connections of their own, before, during and after a change. */
const changing =
  (key: string, value: unknown, connect: object): Play =>
  async (stage) => {
    const { port } = await stage.server({ ...server, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' }, CLOSING)
    const agent = stage.agent({ ca, maxCachedSessions: 0, ...connect })
    await stage.get(agent, { port })
    await assigning(key, value, () => stage.get(agent, { port }))
    await stage.get(agent, { port })
  }

describe('a default of node:tls that is changed between two connections', () => {
  twin('DEFAULT_MAX_VERSION', 'answer', changing('DEFAULT_MAX_VERSION', 'TLSv1.2', {}))
  twin('DEFAULT_MIN_VERSION', 'answer', changing('DEFAULT_MIN_VERSION', 'TLSv1.3', {}))
  twin('DEFAULT_CIPHERS', 'answer', changing('DEFAULT_CIPHERS', 'TLS_AES_128_GCM_SHA256', {}))
  twin('DEFAULT_ECDH_CURVE', 'answer', changing('DEFAULT_ECDH_CURVE', 'P-384', {}))
  twin('DEFAULT_CIPHERS that nobody knows', 'answer', changing('DEFAULT_CIPHERS', 'nothing', {}))
  twin(
    'DEFAULT_CIPHERS, where others are given',
    'answer',
    changing('DEFAULT_CIPHERS', 'TLS_AES_128_GCM_SHA256', {
      ciphers: 'TLS_AES_256_GCM_SHA384',
    }),
  )
  twin(
    'checkServerIdentity',
    'answer',
    changing('checkServerIdentity', () => Object.assign(new Error('no'), { code: 'NO' }), {}),
  )

  const withAuthorities =
    (work: (stage: Stage, port: number) => Promise<void>): Play =>
    async (stage) => {
      const before = getCACertificates!('default')
      onTestFinished(() => setDefaultCACertificates!(before))
      const { port } = await stage.server(server, CLOSING)
      await work(stage, port)
      setDefaultCACertificates!(before)
    }
  const needed = { whyNot: whyNoDefaultAuthorities }
  twin(
    'authorities, by tls.setDefaultCACertificates',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    withAuthorities(async (stage, port) => {
      const agent = stage.agent({ maxCachedSessions: 0 })
      await stage.get(agent, { port })
      setDefaultCACertificates!([ca])
      await stage.get(agent, { port })
      setDefaultCACertificates!([Holder.authority('Other').cert])
      await stage.get(agent, { port })
    }),
    needed,
  )
  twin(
    'authorities, taken away while a session is kept',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE|answer',
    withAuthorities(async (stage, port) => {
      setDefaultCACertificates!([ca])
      await stage.get(stage.agent({}), { port })
      setDefaultCACertificates!([Holder.authority('Other').cert])
      await stage.get(stage.agent({}), { port })
    }),
    needed,
  )
  twin(
    'authorities, where others are given',
    'answer',
    withAuthorities(async (stage, port) => {
      const agent = stage.agent({ ca, maxCachedSessions: 0 })
      await stage.get(agent, { port })
      setDefaultCACertificates!([Holder.authority('Other').cert])
      await stage.get(agent, { port })
    }),
    needed,
  )
})

describe('NODE_TLS_REJECT_UNAUTHORIZED, set in the process', () => {
  const VARIABLE = 'NODE_TLS_REJECT_UNAUTHORIZED'
  const setting =
    (value: string, connect: object = {}): Play =>
    async (stage) => {
      const { port } = await stage.server(server, CLOSING)
      const agent = stage.agent({ maxCachedSessions: 0, ...connect })
      const before = process.env[VARIABLE]
      const restore = (): void => {
        if (before === undefined) delete process.env[VARIABLE]
        else process.env[VARIABLE] = before
      }
      onTestFinished(restore)
      await stage.get(agent, { port })
      process.env[VARIABLE] = value
      await stage.get(agent, { port })
      restore()
      await stage.get(agent, { port })
    }
  twin('to 0, between two connections', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', setting('0'))
  twin('to 1, between two connections', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', setting('1'))
  twin(
    'to 0, with rejectUnauthorized: true',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    setting('0', { rejectUnauthorized: true }),
  )
  twin(
    'to 0, with rejectUnauthorized: undefined',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    setting('0', { rejectUnauthorized: undefined }),
  )
})
