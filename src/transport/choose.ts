/** Which transport a dispatcher gets: recycled descriptors where the system has them, ordinary sockets elsewhere. */
import type { SocketPoolOptions } from '../socket-pool/socket-pool.js'
import { assertDissolves } from '../socket-pool/sockets.js'
import type { TlsTransportName } from '../tls/native-tls.js'
import { Names } from './names.js'
import { NativeTransport } from './native-transport.js'
import { NetTransport } from './net-transport.js'
import type { ConnectFunction, ConnectOptions, Transport } from './transport.js'

/**
 * How connections are made.
 *
 * - `native`: on recycled descriptors, without `node:net`. If that is impossible, the constructor throws.
 * - `net`: on ordinary sockets of `node:net`. Nothing is recycled, and code that patches those sockets sees the connections.
 */
export type TransportName = 'native' | 'net'

/** The environment variable that asks for `net`, for programs whose code is not to be changed. */
const VARIABLE = 'RECYCLING_AGENT_TRANSPORT'

export interface TransportOptions extends SocketPoolOptions {
  /** `undefined`: what is possible. */
  transport: TransportName | undefined
  /** `undefined`: native where that is possible. */
  tlsTransport: TlsTransportName | undefined
  /** A user's function, or `null`. */
  connect: ConnectFunction | null
  connectOptions: ConnectOptions
  /** For how long an answer of the resolver is remembered, in milliseconds. */
  dnsTtl: number
}

/** Why there is no recycling in this process; `null` while it is possible. */
let obstacle: string | null = null
/** The reason that was told last. */
let warnedOf: string | null = null

/**
 * @throws where `native` was asked for and the system is not Linux, koffi or a symbol of the process is missing, or the
 *   kernel refuses to dissolve sockets
 */
export function createTransport(options: TransportOptions): Transport {
  const { transport } = options
  if (transport === 'native') return createNative(options)
  if (transport === 'net' || process.env[VARIABLE] === 'net') return createNet(options)
  let reason = obstacle
  if (reason === null) {
    try {
      return createNative(options)
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error)
      // Too few descriptors now do not mean that it never works: the next agent tries again.
      if (!isOutOfDescriptors(error)) obstacle = reason
    }
  }
  warnOnce(reason)
  return createNet(options)
}

const createNet = ({ dnsTtl, connect, connectOptions }: TransportOptions): NetTransport =>
  new NetTransport(new Names(dnsTtl), connect, connectOptions)

const isOutOfDescriptors = (error: unknown): boolean =>
  ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')

/** @throws where sockets cannot be recycled; without recycling nothing is asked of the kernel but what it is for */
function createNative(options: TransportOptions): NativeTransport {
  if (process.platform !== 'linux') throw new Error(`${process.platform} is not Linux`)
  if (options.recycle !== 'off') assertDissolves()
  const { connect, connectOptions, dnsTtl, tlsTransport } = options
  return new NativeTransport(options, new Names(dnsTtl), connect, connectOptions, tlsTransport)
}

function warnOnce(reason: string): void {
  if (warnedOf === reason) return
  warnedOf = reason
  process.emitWarning(`Sockets are not recycled, since this is not possible here (${reason}).`, {
    type: 'RecyclingAgentWarning',
    code: 'RECYCLING_AGENT_NET',
    detail: `The agent works over ordinary sockets. Set ${VARIABLE}=net to ask for them, without this warning.`,
  })
}
