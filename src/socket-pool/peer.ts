/**
 * The remote end that a descriptor is leased for, encoded once and then passed to connect(2) as it is.
 *
 * A peer is also the key of the pool: `tcp_disconnect` in the kernel keeps `write_seq`, so the next connection of a
 * dissolved socket begins at a sequence number that the previous peer can compute. A descriptor therefore only ever
 * connects to one remote address and port in its life (and from one local address, which dissolving keeps as well).
 */
import { isIPv6 } from 'node:net'
import { AF_INET, AF_INET6, AF_UNIX } from '../sys/constants.js'
import { encodeInternet, encodeUnix } from '../sys/sockaddr.js'

/** Where a socket of the pool goes, and from where. */
export interface PeerAddress {
  /** IP literal; IPv6 without brackets. */
  address: string
  /** 0 to 65535. */
  port: number
  /** IP literal to bind(2) to before connecting; default: the kernel chooses. */
  localAddress?: string | undefined
  /** Local port to bind(2) to; default: the kernel chooses an ephemeral port. */
  localPort?: number | undefined
}

/** An encoded remote end. Create one per remote end and keep it: it is immutable. */
export class Peer {
  /** Equal for two peers exactly when they may share descriptors. */
  readonly key: string
  /** AF_INET, AF_INET6 or AF_UNIX. */
  readonly domain: number
  /** IP literal, or the path of a Unix socket. */
  readonly address: string
  /** `undefined` for a Unix socket. */
  readonly port: number | undefined
  /** `struct sockaddr` for connect(2). */
  readonly remote: Buffer
  /** `struct sockaddr` for bind(2), or `null` to leave the choice to the kernel. */
  readonly local: Buffer | null
  /**
   * What system errors of bind(2) report as `address` and `port`.
   *
   * @internal
   */
  readonly localTarget: { address: string; port: number } | null

  private constructor(
    domain: number,
    address: string,
    port: number | undefined,
    remote: Buffer,
    local: Buffer | null,
    localTarget: { address: string; port: number } | null,
    key: string,
  ) {
    this.domain = domain
    this.address = address
    this.port = port
    this.remote = remote
    this.local = local
    this.localTarget = localTarget
    this.key = key
  }

  /**
   * A remote address and port, and a local one if it is to be bound to.
   *
   * @param address both ends
   * @throws RangeError when an address or port is not one
   */
  static internet({ address, port, localAddress, localPort = 0 }: PeerAddress): Peer {
    const domain = isIPv6(address) ? AF_INET6 : AF_INET
    const remote = encodeInternet(address, port)
    const bound = localAddress !== undefined || localPort !== 0
    const source = { address: localAddress ?? (domain === AF_INET6 ? '::' : '0.0.0.0'), port: localPort }
    const local = bound ? encodeInternet(source.address, source.port) : null
    const key = `${address} ${port}${bound ? ` ${localAddress ?? ''} ${localPort}` : ''}`
    return new Peer(domain, address, port, remote, local, bound ? source : null, key)
  }

  /**
   * A Unix socket. These cannot be dissolved: the pool creates and closes them.
   *
   * @throws RangeError when the path does not fit into `struct sockaddr_un`
   */
  static unix(path: string): Peer {
    return new Peer(AF_UNIX, path, undefined, encodeUnix(path), null, null, path)
  }

  /**
   * What system errors of connect(2) report as `address` and `port`.
   *
   * @internal
   */
  get target(): { address: string; port?: number } {
    return this.port === undefined ? { address: this.address } : { address: this.address, port: this.port }
  }
}
