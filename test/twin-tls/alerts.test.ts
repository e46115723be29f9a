/** Peers that say no, or nonsense, at each point of a handshake (RFC 8446 6, RFC 5246 7.2). */
import { describe } from 'vitest'
import { ALERT, CONTENT, tlsAlert, tlsRecord } from '../support/tls-records.js'
import { Holder } from '../support/x509.js'
import { type Gives, type Play, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const server = authority.issue().identity()

/** A peer that answers the ClientHello, or whatever comes first, with these bytes. */
const replying =
  (end: 'fin' | 'none', ...pieces: Buffer[]): Play =>
  async (stage) => {
    const port = await stage.tcp((socket) => {
      socket.once('data', () => {
        socket.resume()
        const bytes = Buffer.concat(pieces)
        if (end === 'fin') socket.end(bytes)
        else socket.write(bytes)
      })
    })
    await stage.get(stage.agent({ ca }, { connectTimeout: TIMEOUT_MS }), { port })
  }
/** Of a connection that nobody gets on with: long enough for whatever else may happen. */
const TIMEOUT_MS = 600

describe('an alert instead of a ServerHello', () => {
  for (const [name, description] of Object.entries(ALERT)) {
    twin(
      `fatal, ${name}`,
      description === ALERT.closeNotify ? 'ECONNRESET' : /^ERR_SSL_|^ECONNRESET$/,
      replying('fin', tlsAlert('fatal', description)),
    )
  }
  for (const name of [
    'closeNotify',
    'unrecognizedName',
    'noRenegotiation',
    'userCanceled',
    'handshakeFailure',
  ] as const) {
    twin(
      `warning, ${name}`,
      name === 'noRenegotiation' ? 'ERR_SSL_NO_RENEGOTIATION' : 'ECONNRESET',
      replying('fin', tlsAlert('warning', ALERT[name])),
    )
  }
  twin(
    'fatal, and no FIN behind it',
    'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE|ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    replying('none', tlsAlert('fatal', ALERT.handshakeFailure)),
  )
  twin('fatal, that nobody knows', 'ECONNRESET', replying('fin', tlsAlert('fatal', 250)))
  twin(
    'of an unknown level',
    'ERR_SSL_UNKNOWN_ALERT_TYPE',
    replying('fin', tlsRecord(CONTENT.alert, Buffer.from([3, ALERT.internalError]))),
  )
  twin('of one byte', 'ERR_SSL_INVALID_ALERT', replying('fin', tlsRecord(CONTENT.alert, Buffer.from([2]))))
  twin('of no byte', 'ERR_SSL_INVALID_ALERT', replying('fin', tlsRecord(CONTENT.alert, Buffer.alloc(0))))
  twin(
    'twice',
    /^ERR_SSL_/,
    replying('fin', tlsAlert('fatal', ALERT.internalError), tlsAlert('fatal', ALERT.accessDenied)),
  )
  twin(
    'five warnings, and nothing else',
    'ERR_SSL_TOO_MANY_WARN_ALERTS',
    replying('fin', ...Array.from({ length: 5 }, () => tlsAlert('warning', ALERT.userCanceled))),
  )
  twin('close_notify, and no FIN behind it', 'ECONNRESET', replying('none', tlsAlert('warning', ALERT.closeNotify)))
})

describe('what is no TLS', () => {
  twin(
    'an HTTP error',
    'ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|EPROTO',
    replying('fin', Buffer.from('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')),
  )
  twin('garbage', /^ERR_SSL_/, replying('fin', Buffer.alloc(100, 'garbage')))
  twin('zeros', /^ERR_SSL_/, replying('fin', Buffer.alloc(100)))
  twin('ones', /^ERR_SSL_/, replying('fin', Buffer.alloc(100, 0xff)))
  twin('one byte', 'ECONNRESET', replying('fin', Buffer.from([CONTENT.handshake])))
  twin('a head of a record, cut', 'ECONNRESET', replying('fin', Buffer.from([CONTENT.handshake, 3, 3])))
  twin('a record that is too long', /^ERR_SSL_/, replying('fin', tlsRecord(CONTENT.handshake, Buffer.alloc(20_000))))
  twin(
    'a record that is cut',
    'ECONNRESET',
    replying('fin', tlsRecord(CONTENT.handshake, Buffer.alloc(100)).subarray(0, 50)),
  )
  twin('a record of an unknown type', /^ERR_SSL_/, replying('fin', tlsRecord(99, Buffer.alloc(10))))
  twin(
    'a record of an unknown version',
    /^ERR_SSL_/,
    replying('fin', tlsRecord(CONTENT.handshake, Buffer.alloc(10), [9, 9])),
  )
  twin('an empty record', 'ECONNRESET', replying('fin', tlsRecord(CONTENT.handshake, Buffer.alloc(0))))
  twin(
    'forty empty records',
    'ERR_SSL_RECORD_TOO_SMALL',
    replying('fin', ...Array.from({ length: 40 }, () => tlsRecord(CONTENT.handshake, Buffer.alloc(0)))),
  )
  twin(
    'a handshake message that nobody knows',
    /^ERR_SSL_/,
    replying('fin', tlsRecord(CONTENT.handshake, Buffer.from([99, 0, 0, 0]))),
  )
  twin(
    'a handshake message that is too long',
    /^ERR_SSL_/,
    replying('fin', tlsRecord(CONTENT.handshake, Buffer.from([2, 255, 255, 255, 0]))),
  )
  twin(
    'a ServerHello of nothing',
    /^ERR_SSL_/,
    replying('fin', tlsRecord(CONTENT.handshake, Buffer.from([2, 0, 0, 0]))),
  )
  twin('a request to say hello', 'ECONNRESET', replying('fin', tlsRecord(CONTENT.handshake, Buffer.from([0, 0, 0, 0]))))
  twin(
    'application data',
    /^ERR_SSL_/,
    replying('fin', tlsRecord(CONTENT.applicationData, Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))),
  )
  twin('a change of the cipher', /^ERR_SSL_|./, replying('fin', tlsRecord(CONTENT.changeCipherSpec, Buffer.from([1]))))
  twin('the ClientHello itself', /^ERR_SSL_/, async (stage) => {
    const port = await stage.tcp((socket) => socket.pipe(socket))
    await stage.get(stage.agent({ ca }, { connectTimeout: TIMEOUT_MS }), { port })
  })
  twin('an old hello of SSL 2', /^ERR_SSL_|./, replying('fin', Buffer.from([0x80, 0x2e, 4, 0, 1, 0, 2, 0, 0, 0, 0x10])))
})

describe('silence', () => {
  twin('then a FIN', 'ECONNRESET', replying('fin'))
  twin('then a FIN, before the ClientHello was read', 'ECONNRESET', async (stage) => {
    const port = await stage.tcp((socket) => socket.resume().end())
    await stage.get(stage.agent({ ca }), { port })
  })
  twin('then a reset', 'ECONNRESET', async (stage) => {
    const port = await stage.tcp((socket) => socket.once('data', () => socket.resetAndDestroy()))
    await stage.get(stage.agent({ ca }), { port })
  })
  // At once, since they take their time.
  twin(
    'for good',
    'UND_ERR_CONNECT_TIMEOUT',
    async (stage) => {
      const beginnings = [
        Buffer.alloc(0),
        Buffer.from([CONTENT.handshake]),
        tlsRecord(CONTENT.handshake, Buffer.alloc(100)).subarray(0, 50),
      ]
      await Promise.all(beginnings.map((bytes) => replying('none', bytes)(stage)))
    },
    { isFree: true },
  )
  twin('of the listener', 'ECONNREFUSED', async (stage) => {
    const { port, close } = await stage.server(server)
    await close()
    await stage.get(stage.agent({ ca }), { port })
  })
})

/** A peer that goes on only up to a record, and then says something in the clear. */
const interrupted =
  (version: 'TLSv1.2' | 'TLSv1.3', after: number, bytes: Buffer): Play =>
  async (stage) => {
    const { port } = await stage.server({ ...server, minVersion: version, maxVersion: version })
    const relay = await stage.relay(port, { towards: 'client', after, instead: bytes })
    await stage.get(stage.agent({ ca }), { port: relay })
  }

describe.each([
  ['TLSv1.2', 6],
  ['TLSv1.3', 7],
] as const)('in the midst of a handshake of %s', (version, records) => {
  for (let after = 1; after <= records; after++) {
    const isOpen = version === 'TLSv1.3' && after >= 6
    const interrupting = (name: string, code: Gives, bytes: Buffer): void => {
      const gives = isOpen ? 'UND_ERR_SOCKET' : code

      twin(`${version}: ${name} behind ${after} records`, gives, interrupted(version, after, bytes), { isLate: true })
    }
    interrupting('an alert', /^ERR_SSL_/, tlsAlert('fatal', ALERT.internalError))
    interrupting(
      'a close_notify',
      version === 'TLSv1.2' && after < 6 ? 'ECONNRESET' : /^ERR_SSL_/,
      tlsAlert('warning', ALERT.closeNotify),
    )
    interrupting('garbage', /^ERR_SSL_(WRONG_VERSION_NUMBER|BAD_RECORD_TYPE)$/, Buffer.alloc(50, 'garbage'))
    interrupting('application data', /^ERR_SSL_/, tlsRecord(CONTENT.applicationData, Buffer.alloc(40)))
  }
})
