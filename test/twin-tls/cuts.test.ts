/** Connections that end at each record of each direction, with a FIN, a reset, or without a word. */
import { describe } from 'vitest'
import type { RelayPlan } from '../support/tls-relay.js'
import { Holder } from '../support/x509.js'
import { twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const server = authority.issue().identity()
/** For what never comes; there is room for a machine with much to do. */
const TIMEOUT_MS = 600
/** More than any handshake has. */
const RECORDS = { client: 8, server: 4 }
/** The system says so at the reset, at what is written behind it, or, to libuv, as a FIN behind bytes. */
const RESET = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']
/** After so many records a connection may be open. */
const OPEN = { client: 5, server: 1 }

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', (version) => {
  const only = { minVersion: version, maxVersion: version }
  for (const towards of ['client', 'server'] as const) {
    for (let after = 0; after < RECORDS[towards]; after++) {
      for (const instead of ['fin', 'rst'] as const) {
        const name = `${version}: ${instead} after ${after} records towards the ${towards}`
        twin(
          name,
          /^(ECONNRESET|UND_ERR_SOCKET)$/,
          async (stage) => {
            const { port } = await stage.server({ ...server, ...only })
            const relay = await stage.relay(port, { towards, after, instead })
            await stage.get(stage.agent({ ca }), { port: relay })
          },
          { isLate: true, lostAs: instead === 'rst' && after >= OPEN[towards] ? RESET : [] },
        )
      }
    }
  }
  // All at once, since they take their time.
  twin(
    `${version}: silence after each record towards the client, and after the handshake`,
    /^UND_ERR_(CONNECT|HEADERS)_TIMEOUT$/,
    async (stage) => {
      const { port } = await stage.server({ ...server, ...only })
      const silent = async (plan: Pick<RelayPlan, 'towards' | 'after'>): Promise<void> => {
        const relay = await stage.relay(port, { ...plan, instead: 'silence' })
        const agent = stage.agent({ ca }, { connectTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS })
        await stage.get(agent, { port: relay })
      }
      const stalled = version === 'TLSv1.2' ? [0, 1, 2, 3, 4, 5] : [0, 1, 2, 3, 4]
      await Promise.all([
        ...stalled.map((after) => silent({ towards: 'client', after })),
        silent({ towards: 'server', after: version === 'TLSv1.2' ? 4 : 3 }),
      ])
    },
    { isFree: true, isLate: true },
  )
})
