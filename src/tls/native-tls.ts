/** TLS on descriptors for one set of options: whether it may be, in which context, and by which rules a peer is judged. */
import tls, { type SecureContextOptions } from 'node:tls'
import { type TlsOptions, whyNodes, whyNodesNow } from './native-options.js'
import { CurrentContext, type TlsContext } from './tls-context.js'
import type { Expectation } from './verification.js'

/**
 * What does the cryptography of connections over TLS. The only difference that a caller can notice is speed.
 *
 * - `native`: the OpenSSL inside Node.js, on the recycled descriptor itself; where that is not possible, `node`.
 * - `node`: a `TLSSocket` of `node:tls`, over a descriptor that is lent to it.
 */
export type TlsTransportName = 'native' | 'node'

/** The environment variable that asks for `node`, for programs whose code is not to be changed. */
const VARIABLE = 'RECYCLING_AGENT_TLS'

/** Shorter keys than this many bits are refused by Node, unless it is told otherwise. */
const MIN_DH_SIZE = 1024

export class NativeTls {
  /** For SNI and verification, unless a request has its own. */
  readonly servername: string | null
  /** A peer that is not authorised is refused. */
  readonly isStrict: boolean
  readonly #options: TlsOptions
  readonly #context: CurrentContext
  /** Why Node makes all connections; `null` where it need not. */
  readonly #obstacle: string | null

  /**
   * @param options of `tls.connect` and undici's connector
   * @param transport as it was asked for
   */
  constructor(options: TlsOptions, transport: TlsTransportName | undefined) {
    const isForNode = (transport ?? process.env[VARIABLE]) === 'node'
    // Functions are bound with the agent: koffi does not bear a thread that ends meanwhile.
    this.#obstacle = isForNode ? 'the option tlsTransport' : whyNodes(options)
    this.#options = options
    this.servername = typeof options.servername === 'string' && options.servername !== '' ? options.servername : null
    this.isStrict = options.rejectUnauthorized !== false
    this.#context = new CurrentContext(options as SecureContextOptions)
  }

  /** Why Node makes the connections of now; `null` where it need not. */
  get whyNot(): string | null {
    return this.#obstacle ?? whyNodesNow()
  }

  /** What Node would expect of a peer now. @param identity as in {@link Expectation} */
  expectation(identity: string): Expectation {
    const { minDHSize = MIN_DH_SIZE, checkServerIdentity = tls.checkServerIdentity } = this.#options
    return { identity, minDHSize, checkServerIdentity } as Expectation
  }

  /** The context for a connection that is made now; `null` when it is Node's to make. */
  context(): TlsContext | null {
    if (this.whyNot !== null) return null
    try {
      return this.#context.get()
    } catch {
      // Options that no context can be made of: Node says why.
      return null
    }
  }
}
