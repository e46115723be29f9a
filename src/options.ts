/**
 * Every option with its default, and the only validation of constructor options: undici's rules, undici's words.
 */
import { maxHeaderSize as nodeMaxHeaderSize } from 'node:http'
import { getDefaultAutoSelectFamily, getDefaultAutoSelectFamilyAttemptTimeout, isIP } from 'node:net'
import type { Agent } from 'undici'
import { InvalidArgumentError } from './errors.js'
import type { OriginPoolOptions } from './pool/origin-pool.js'
import type { RecycleMode } from './socket-pool/socket-pool.js'
import type { LookupFunction } from './transport/addresses.js'
import type { TransportName, TransportOptions } from './transport/choose.js'
import type { ConnectFunction, ConnectOptions } from './transport/transport.js'

/** The options of undici's Agent that concern HTTP/1.1, with undici's meaning and defaults, and our own. */
export interface RecyclingAgentOptions extends Omit<Agent.Options, 'factory' | 'interceptors'> {
  /** How connections are made: see {@link TransportName}. @default 'native' where that is possible, else 'net' */
  transport?: TransportName
  /** What becomes of a socket after its connection: see {@link RecycleMode}. @default 'dissolve' */
  recycle?: RecycleMode
  /** How many dissolved sockets are kept over all peers; the least recently used goes first. @default 1024 */
  maxIdleSockets?: number
}

/** Options with every default in place. */
export interface ResolvedOptions extends OriginPoolOptions, TransportOptions {
  maxOrigins: number
  webSocket: Agent.Options['webSocket']
  eventSource: Agent.Options['eventSource']
}

/** Options that undici once had, with the words in which it refuses them. */
const REFUSED: Readonly<Record<string, string>> = {
  keepAlive: 'unsupported keepAlive, use pipelining=0 instead',
  socketTimeout: 'unsupported socketTimeout, use headersTimeout & bodyTimeout instead',
  requestTimeout: 'unsupported requestTimeout, use headersTimeout & bodyTimeout instead',
  idleTimeout: 'unsupported idleTimeout, use keepAliveTimeout instead',
  maxKeepAliveTimeout: 'unsupported maxKeepAliveTimeout, use keepAliveMaxTimeout instead',
}

const isNumber = (value: unknown): value is number => Number.isFinite(value)
const isIntegerFrom =
  (minimum: number) =>
  (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= minimum
const isBoolean = (value: unknown): boolean => typeof value === 'boolean'

/** What a value must be, unless it is null or undefined, and undici's words when it is not. */
const RULES: ReadonlyArray<readonly [option: string, isValid: (value: unknown) => boolean, message: string]> = [
  ['maxHeaderSize', isIntegerFrom(1), 'invalid maxHeaderSize'],
  ['socketPath', (value) => typeof value === 'string', 'invalid socketPath'],
  ['connections', (value) => isNumber(value) && value >= 0, 'invalid connections'],
  ['connectTimeout', (value) => isNumber(value) && value >= 0, 'invalid connectTimeout'],
  ['keepAliveTimeout', (value) => isNumber(value) && value > 0, 'invalid keepAliveTimeout'],
  ['keepAliveMaxTimeout', (value) => isNumber(value) && value > 0, 'invalid keepAliveMaxTimeout'],
  ['keepAliveTimeoutThreshold', isNumber, 'invalid keepAliveTimeoutThreshold'],
  ['headersTimeout', isIntegerFrom(0), 'headersTimeout must be a positive integer or zero'],
  ['bodyTimeout', isIntegerFrom(0), 'bodyTimeout must be a positive integer or zero'],
  [
    'connect',
    (value) => typeof value === 'function' || typeof value === 'object',
    'connect must be a function or an object',
  ],
  ['maxRequestsPerClient', isIntegerFrom(0), 'maxRequestsPerClient must be a positive number'],
  [
    'localAddress',
    (value) => typeof value === 'string' && isIP(value) !== 0,
    'localAddress must be valid string IP address',
  ],
  ['maxResponseSize', isIntegerFrom(-1), 'maxResponseSize must be a positive number'],
  ['autoSelectFamilyAttemptTimeout', isIntegerFrom(-1), 'autoSelectFamilyAttemptTimeout must be a positive number'],
  ['maxCachedSessions', isIntegerFrom(0), 'maxCachedSessions must be a positive integer or zero'],
  ['allowH2', isBoolean, 'allowH2 must be a valid boolean value'],
  // Of no effect here, where HTTP/2 is not spoken, but not to be taken for something else either.
  [
    'maxConcurrentStreams',
    (value) => typeof value === 'number' && value >= 1,
    'maxConcurrentStreams must be a positive integer, greater than 0',
  ],
  ['useH2c', isBoolean, 'useH2c must be a valid boolean value'],
  ['initialWindowSize', isIntegerFrom(1), 'initialWindowSize must be a positive integer, greater than 0'],
  ['connectionWindowSize', isIntegerFrom(1), 'connectionWindowSize must be a positive integer, greater than 0'],
  ['pingInterval', isIntegerFrom(0), 'pingInterval must be a positive integer, greater or equal to 0'],
  ['pipelining', (value) => isNumber(value) && value >= 0, 'invalid pipelining'],
  [
    'recycle',
    (value) => value === 'dissolve' || value === 'graceful' || value === 'off',
    "recycle must be 'dissolve', 'graceful' or 'off'",
  ],
  ['transport', (value) => value === 'native' || value === 'net', "transport must be 'native' or 'net'"],
  ['maxIdleSockets', isIntegerFrom(0), 'maxIdleSockets must be a positive integer or zero'],
]

/** @throws InvalidArgumentError */
export function resolveOptions(options: RecyclingAgentOptions = {}): ResolvedOptions {
  const given = options as Readonly<Record<string, unknown>>
  const { factory } = given
  if (factory !== undefined) {
    if (typeof factory !== 'function') throw new InvalidArgumentError('factory must be a function.')
    throw new InvalidArgumentError("unsupported factory, give RecyclingPool to the factory of undici's Agent instead")
  }
  for (const [option, message] of Object.entries(REFUSED)) {
    if (given[option] !== undefined) throw new InvalidArgumentError(message)
  }
  for (const [option, isValid, message] of RULES) {
    const value = given[option]
    if (value != null && !isValid(value)) throw new InvalidArgumentError(message)
  }
  const maxOrigins = options.maxOrigins ?? Number.POSITIVE_INFINITY
  if (typeof maxOrigins !== 'number' || !(maxOrigins > 0)) {
    throw new InvalidArgumentError('maxOrigins must be a number greater than 0')
  }
  return { ...resolveHttp(options), ...resolveConnect(options), maxOrigins }
}

type ConnectKeys =
  | 'connect'
  | 'connectOptions'
  | 'connectTimeout'
  | 'socketPath'
  | 'localAddress'
  | 'localPort'
  | 'family'
  | 'hints'
  | 'lookup'
  | 'autoSelectFamily'
  | 'autoSelectFamilyAttemptTimeout'
  | 'keepAlive'
  | 'keepAliveInitialDelay'

function resolveHttp(options: RecyclingAgentOptions): Omit<ResolvedOptions, ConnectKeys | 'maxOrigins'> {
  return {
    transport: options.transport,
    recycle: options.recycle ?? 'dissolve',
    maxIdleSockets: options.maxIdleSockets ?? 1024,
    connections: options.connections || Number.POSITIVE_INFINITY,
    pipelining: options.pipelining ?? 1,
    headersTimeout: options.headersTimeout ?? 300_000,
    bodyTimeout: options.bodyTimeout ?? 300_000,
    keepAliveTimeout: options.keepAliveTimeout ?? 4000,
    keepAliveMaxTimeout: options.keepAliveMaxTimeout ?? 600_000,
    keepAliveTimeoutThreshold: options.keepAliveTimeoutThreshold ?? 2000,
    maxHeaderSize: options.maxHeaderSize ?? nodeMaxHeaderSize,
    maxResponseSize: options.maxResponseSize ?? -1,
    maxRequestsPerClient: options.maxRequestsPerClient ?? 0,
    clientTtl: options.clientTtl ?? 0,
    strictContentLength: options.strictContentLength ?? true,
    webSocket: options.webSocket,
    eventSource: options.eventSource,
  }
}

/** As undici calls a user's function; but what it connects must not speak HTTP/2. */
function withOptions(connect: ConnectFunction, { socketPath, allowH2 }: RecyclingAgentOptions): ConnectFunction {
  const more = { ...(socketPath != null && { socketPath }), ...(allowH2 != null && { allowH2: false }) }
  return (options, callback) => connect({ ...options, ...more }, callback)
}

/** What `connect` may hold besides undici's own options: those of `net.connect` and `tls.connect`. */
type GivenConnectOptions = ConnectOptions & {
  localAddress?: string
  localPort?: number
  family?: number
  hints?: number
  lookup?: LookupFunction
  autoSelectFamily?: boolean
  autoSelectFamilyAttemptTimeout?: number
}

/** `connect` is laid over `tls` and over the options of the same meaning, as undici does it. */
function resolveConnect(options: RecyclingAgentOptions): Pick<ResolvedOptions, ConnectKeys> {
  const { autoSelectFamily, autoSelectFamilyAttemptTimeout, maxCachedSessions, socketPath } = options
  const connect = {
    ...(options.tls as object | undefined),
    maxCachedSessions: maxCachedSessions ?? null,
    socketPath: socketPath ?? null,
    ...(typeof autoSelectFamily === 'boolean' ? { autoSelectFamily, autoSelectFamilyAttemptTimeout } : undefined),
    ...(typeof options.connect === 'function' ? undefined : options.connect),
  } as GivenConnectOptions
  return {
    connect: typeof options.connect === 'function' ? withOptions(options.connect as ConnectFunction, options) : null,
    connectOptions: connect,
    connectTimeout: connect.timeout ?? options.connectTimeout ?? 10_000,
    socketPath: connect.socketPath ?? undefined,
    localAddress: connect.localAddress ?? options.localAddress ?? undefined,
    localPort: connect.localPort,
    family: connect.family ?? 0,
    hints: connect.hints,
    lookup: connect.lookup,
    autoSelectFamily: connect.autoSelectFamily ?? getDefaultAutoSelectFamily(),
    // Node raises smaller values to 10 ms.
    autoSelectFamilyAttemptTimeout: Math.max(
      10,
      connect.autoSelectFamilyAttemptTimeout ?? getDefaultAutoSelectFamilyAttemptTimeout(),
    ),
    keepAlive: connect.keepAlive ?? true,
    keepAliveInitialDelay: connect.keepAliveInitialDelay ?? 60_000,
  }
}
