/**
 * A context for TLS connections of ours: made by Node, with the caller's options, so that ciphers, authorities, client
 * certificates, command-line flags and all else is what Node's own sockets have.
 *
 * Invariant: it never reaches a TLSSocket, nor was one ever made with it: a TLSSocket leaves callbacks in its context that
 * take each connection for one of Node's own, and would crash at the first ticket of one of ours.
 */
import tls, { type SecureContext, type SecureContextOptions } from 'node:tls'
import { inspect } from 'node:util'
import { openssl, type Pointer } from '../sys/openssl.js'
import { OFFER } from './alpn.js'
import {
  SSL_CTRL_CLEAR_MODE,
  SSL_CTRL_MODE,
  SSL_CTRL_SET_READ_AHEAD,
  SSL_CTRL_SET_SESS_CACHE_MODE,
  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
  SSL_MODE_AUTO_RETRY,
  SSL_MODE_RELEASE_BUFFERS,
  SSL_OP_IGNORE_UNEXPECTED_EOF,
  SSL_OP_NO_RENEGOTIATION,
  SSL_OP_NO_RX_CERTIFICATE_COMPRESSION,
  SSL_SESS_CACHE_OFF,
  SSL_VERIFY_NONE,
} from './constants.js'
import { takeTlsError } from './tls-error.js'
import { TrustDefaults } from './trust-defaults.js'

const MODES = SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS

/**
 * A renegotiation could change the peer; Node takes a FIN without close_notify for an end; and a TLSSocket's hello offers
 * no compressed certificates.
 */
const OPTIONS = SSL_OP_NO_RENEGOTIATION + SSL_OP_IGNORE_UNEXPECTED_EOF + SSL_OP_NO_RX_CERTIFICATE_COMPRESSION

/** As much as libuv reads at once; it is allocated as long as there is something in it. */
const READ_BUFFER_SIZE = 65_536

export class TlsContext {
  /** SSL_CTX. */
  readonly pointer: Pointer
  /** Its owner: the SSL_CTX is freed as this is collected. */
  readonly secureContext: SecureContext

  /** @throws what `tls.createSecureContext` throws, or where what it makes is not what is known */
  constructor(options: SecureContextOptions) {
    this.secureContext = tls.createSecureContext({ ciphers: tls.DEFAULT_CIPHERS, ...options })
    this.pointer = pointerOf(this.secureContext)
    const library = openssl()
    const { pointer } = this
    library.contextControl(pointer, SSL_CTRL_MODE, MODES, 0)
    // A peer that sends tickets without end must not keep the thread within one call.
    library.contextControl(pointer, SSL_CTRL_CLEAR_MODE, SSL_MODE_AUTO_RETRY, 0)
    library.contextControl(pointer, SSL_CTRL_SET_READ_AHEAD, 1, 0)
    library.contextSetReadBuffer(pointer, READ_BUFFER_SIZE)
    // The cache of a context spoils a session of TLS 1.3 that was resumed; sessions are kept by ourselves.
    library.contextControl(pointer, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, 0)
    library.contextSetOptions(pointer, OPTIONS)
    // As Node has it: the handshake goes on whatever the verification says, and of several findings the last one counts.
    library.contextSetVerify(pointer, SSL_VERIFY_NONE, library.alwaysOne)
    if (library.contextSetAlpn(pointer, OFFER, OFFER.length) !== 0) throw takeTlsError()
  }
}

/** Node shows the address of an object of its own in one way only. */
const EXTERNAL = /^\[External: ([0-9a-f]{4,12})\]$/

/** @throws where Node shows something else */
function pointerOf({ context }: SecureContext): Pointer {
  const { _external: external } = context as { _external?: unknown }
  const [, address] = EXTERNAL.exec(inspect(external)) ?? []
  if (address === undefined) throw new Error('the SSL_CTX of a SecureContext cannot be told')
  return Number.parseInt(address, 16)
}

/** The context of one set of options, made anew when what they leave to Node has changed. */
export class CurrentContext {
  readonly #options: SecureContextOptions
  readonly #defaults: TrustDefaults
  #context: TlsContext | null = null

  /** @param options as they are given to `tls.createSecureContext` */
  constructor(options: SecureContextOptions) {
    this.#options = options
    this.#defaults = new TrustDefaults(options)
  }

  /** @throws as {@link TlsContext} does */
  get(): TlsContext {
    if (!this.#defaults.haveChanged() && this.#context !== null) return this.#context
    this.#context = null
    this.#context = new TlsContext(this.#options)
    return this.#context
  }
}
