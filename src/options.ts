/**
 * Every option with its default, and the only validation of constructor options: undici's rules, undici's words.
 */
import { getDefaultAutoSelectFamily, getDefaultAutoSelectFamilyAttemptTimeout, isIP } from 'node:net'
import type { Agent, buildConnector, Client } from 'undici'
import { InvalidArgumentError } from './errors.js'
import type { OriginPoolOptions } from './pool/pool-owner.js'
import { maxHeaderSize as nodeMaxHeaderSize } from './request/node-http.js'
import type { RecycleMode } from './socket-pool/socket-pool.js'
import type { TlsTransportName } from './tls/native-tls.js'
import type { LookupFunction } from './transport/addresses.js'
import type { TransportName, TransportOptions } from './transport/choose.js'
import type { ConnectFunction, ConnectOptions } from './transport/transport.js'

/**
 * The options of undici's Agent that concern HTTP/1.1, with undici's meaning and defaults, and our own. Those of undici are
 * declared again, with undici's types, to document what they do here.
 */
export interface RecyclingAgentOptions extends Omit<Agent.Options, 'factory' | 'interceptors'> {
  /** How connections are made: see {@link TransportName}. @default 'native' where that is possible, else 'net' */
  transport?: TransportName
  /**
   * What does the cryptography of https: see {@link TlsTransportName}.
   *
   * @default 'native' where that is possible, else 'node'
   */
  tlsTransport?: TlsTransportName
  /** What happens to a socket after its connection: see {@link RecycleMode}. @default 'dissolve' */
  recycle?: RecycleMode
  /**
   * How many dissolved sockets are kept, over all peers; the least recently used is closed first. 0: none is kept.
   *
   * @default 1024
   */
  maxIdleSockets?: number
  /**
   * How many origins can have requests or connections at a time; a request to one more fails with `MaxOriginsReachedError`.
   *
   * @default Infinity
   */
  maxOrigins?: number
  /**
   * How many connections there can be to each origin; further requests wait, and `dispatch` returns false for them. `null`
   * or 0: as many as there are requests.
   *
   * @default null
   */
  connections?: number | null
  /**
   * How many spare connections are kept open ahead of the requests, to each origin that closes its connections after a
   * response, so that a request does not wait for a handshake. The first is made when the origin has closed a connection in
   * this way; another is made whenever a request finds no connection, up to this number. They count against `connections`,
   * and end when no request has come for `keepAliveTimeout`. 0: none.
   *
   * @default 0
   */
  spareConnections?: number
  /**
   * How long a connection takes requests after it was made, in milliseconds. `null` or 0: no limit.
   *
   * @default null
   */
  clientTtl?: number | null
  /**
   * How many requests are written to a connection before the first of them is answered. 1: one after the other. 0: each
   * request has its own connection, and says `Connection: close`. `Infinity`: no limit.
   *
   * @default 1
   */
  pipelining?: number
  /** How many requests a connection carries, the last one with `Connection: close`. 0: no limit. @default 0 */
  maxRequestsPerClient?: number
  /**
   * Whether a request is sent once more, on a new connection, if its connection had been used or idle before and ended before
   * the first byte of the response. That is done if the request is idempotent (its option `idempotent`), or has a field
   * `Idempotency-Key`, or no byte of it was written; and if its body can be read again, or still waits for a 100 (Continue).
   * false: the request fails, as in undici.
   *
   * @default true
   */
  retryStale?: boolean
  /** How long connecting may take, in milliseconds, including DNS lookup and TLS handshake. 0: no limit. @default 10000 */
  connectTimeout?: number
  /**
   * How long the head of a response may take after the request was sent, in milliseconds; each 1xx response restarts it. 0:
   * no limit. A request can have its own.
   *
   * @default 300000
   */
  headersTimeout?: number
  /**
   * How long the body of a request with `expectContinue: true` waits for the server to ask for it with a 100 (Continue), in
   * milliseconds. After that it is sent anyway (RFC 9110 10.1.1). 0: it is sent at once.
   *
   * @default 1000
   */
  expectContinueTimeout?: number
  /**
   * How long a response body may pause, in milliseconds; time in which the handler has paused it does not count. 0: no limit.
   * A request can have its own.
   *
   * @default 300000
   */
  bodyTimeout?: number
  /**
   * How long an idle connection is kept, in milliseconds, if the server does not say how long it keeps it (with the field
   * `Keep-Alive`).
   *
   * @default 4000
   */
  keepAliveTimeout?: number
  /** The longest time that a server can ask for with `Keep-Alive`, in milliseconds. @default 600000 */
  keepAliveMaxTimeout?: number
  /**
   * By how much the time from a server's `Keep-Alive` is shortened, in milliseconds, so that the server does not close
   * first.
   *
   * @default 2000
   */
  keepAliveTimeoutThreshold?: number
  /** How large the head of a response, or its trailer section, may be, in bytes. @default 16384, or `--max-http-header-size` */
  maxHeaderSize?: number
  /** How large the body of a response may be, in bytes. -1: no limit. @default -1 */
  maxResponseSize?: number
  /**
   * Whether a request fails if the length of its body is not its `content-length`. false: there is a process warning, and the
   * true length is sent.
   *
   * @default true
   */
  strictContentLength?: boolean
  /** A Unix socket to connect to, whatever the host and port of the origin. Unix sockets are not recycled. */
  socketPath?: string
  /** The IP address to connect from. @default the kernel's choice */
  localAddress?: string
  /** Whether all addresses of a name are tried (RFC 8305). @default that of Node.js, `net.getDefaultAutoSelectFamily()` */
  autoSelectFamily?: boolean
  /**
   * How long connecting to one of several addresses may take before the next one is tried as well, in milliseconds, at least
   * 10. With `transport: 'net'` the first attempt is then given up. Has an effect only together with `autoSelectFamily`.
   *
   * @default that of Node.js, `net.getDefaultAutoSelectFamilyAttemptTimeout()`
   */
  autoSelectFamilyAttemptTimeout?: number
  /**
   * How long the answer of the system's resolver for a name is cached, in milliseconds. 0: not at all; concurrent lookups of a
   * name still share one answer. The answers of `connect.lookup` are neither shared nor cached.
   *
   * @default 1000
   */
  dnsTtl?: number
  /** How many TLS sessions are kept for each origin, to be resumed. 0: none. @default 100 */
  maxCachedSessions?: number
  /**
   * Options of `tls.connect`, `net.connect` and undici's connector, which take precedence over those of the same meaning here.
   * Or a function that makes the connections, like those of undici's `buildConnector`: then the sockets are its own, and
   * nothing is recycled. It should return its socket, as those do, so that an attempt can be given up when it is not needed
   * any more.
   *
   * @default null
   */
  connect?: Partial<buildConnector.BuildOptions> | buildConnector.connector
  /**
   * What undici's WebSocket accepts over this agent: fragments of a message, and its size in bytes; 0: no limit.
   *
   * @default { maxFragments: 131072, maxPayloadSize: 134217728 }
   */
  webSocket?: Client.WebSocketOptions
  /**
   * What undici's EventSource accepts over this agent: the size of an event in bytes; 0: no limit.
   *
   * @default { maxEventSize: buffer.constants.MAX_STRING_LENGTH }
   */
  eventSource?: Client.EventSourceOptions
  /** Of no effect: HTTP/2 is allowed, but not used. */
  allowH2?: boolean
  /** Of no effect: HTTP/2. */
  maxConcurrentStreams?: number
  /** Of no effect: HTTP/2. */
  initialWindowSize?: number
  /** Of no effect: HTTP/2. */
  connectionWindowSize?: number
  /** Of no effect: HTTP/2. */
  pingInterval?: number
}

/** Options of `preconnect` of RecyclingAgent and RecyclingPool. */
export interface PreconnectOptions {
  /** How many connections to make in addition to those that exist, as far as `connections` of the agent allows. @default 1 */
  connections?: number
  /** The name that the server has to prove (TLS), as the `servername` of a request. @default the host of the origin */
  servername?: string | null
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

/** Of connections that are made ahead: more than there are ports to connect from. */
const MAX_PRECONNECTED = 65_535

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
  ['dnsTtl', (value) => isNumber(value) && value >= 0, 'invalid dnsTtl'],
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
  ['pipelining', (value) => pipeliningOf(value) >= 0, 'invalid pipelining'],
  [
    'recycle',
    (value) => value === 'dissolve' || value === 'graceful' || value === 'off',
    "recycle must be 'dissolve', 'graceful' or 'off'",
  ],
  ['expectContinueTimeout', isIntegerFrom(0), 'expectContinueTimeout must be a positive integer or zero'],
  [
    'spareConnections',
    (value) => isIntegerFrom(0)(value) && (value as number) <= MAX_PRECONNECTED,
    'spareConnections must be a positive integer or zero',
  ],
  ['retryStale', isBoolean, 'retryStale must be a boolean'],
  ['transport', (value) => value === 'native' || value === 'net', "transport must be 'native' or 'net'"],
  ['tlsTransport', (value) => value === 'native' || value === 'node', "tlsTransport must be 'native' or 'node'"],
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

/** @throws InvalidArgumentError */
export function resolvePreconnect(options: unknown): { connections: number; servername: string | null } {
  if (options != null && typeof options !== 'object') throw new InvalidArgumentError('opts must be an object.')
  const { connections = 1, servername } = (options ?? {}) as Record<string, unknown>
  if (!isIntegerFrom(1)(connections) || (connections as number) > MAX_PRECONNECTED) {
    throw new InvalidArgumentError('connections must be a positive integer')
  }
  if (servername != null && typeof servername !== 'string')
    throw new InvalidArgumentError('servername must be a string')
  return { connections: connections as number, servername: servername || null }
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
    tlsTransport: options.tlsTransport,
    recycle: options.recycle ?? 'dissolve',
    maxIdleSockets: options.maxIdleSockets ?? 1024,
    dnsTtl: options.dnsTtl ?? 1000,
    connections: options.connections || Number.POSITIVE_INFINITY,
    pipelining: pipeliningOf(options.pipelining),
    headersTimeout: options.headersTimeout ?? 300_000,
    bodyTimeout: options.bodyTimeout ?? 300_000,
    expectContinueTimeout: options.expectContinueTimeout ?? 1000,
    keepAliveTimeout: options.keepAliveTimeout ?? 4000,
    keepAliveMaxTimeout: options.keepAliveMaxTimeout ?? 600_000,
    keepAliveTimeoutThreshold: options.keepAliveTimeoutThreshold ?? 2000,
    maxHeaderSize: options.maxHeaderSize ?? nodeMaxHeaderSize,
    maxResponseSize: options.maxResponseSize ?? -1,
    maxRequestsPerClient: options.maxRequestsPerClient ?? 0,
    retryStale: options.retryStale ?? true,
    clientTtl: options.clientTtl ?? 0,
    spareConnections: options.spareConnections ?? 0,
    strictContentLength: options.strictContentLength ?? true,
    webSocket: options.webSocket,
    eventSource: options.eventSource,
  }
}

/**
 * undici checks nothing and compares: `true` is 1, `false` 0, a string of digits its number. NaN is the default, as in
 * undici's Agent; what is below 0 would never let a request through.
 */
function pipeliningOf(value: unknown): number {
  const number = typeof value === 'symbol' ? Number.NaN : Number(value ?? 1)
  return Number.isNaN(number) ? 1 : number
}

/** As undici calls a user's function; but what it connects must not speak HTTP/2. */
function withOptions(connect: ConnectFunction, { socketPath, allowH2 }: RecyclingAgentOptions): ConnectFunction {
  const more = { ...(socketPath != null && { socketPath }), ...(allowH2 != null && { allowH2: false }) }
  return (options, callback) => connect({ ...options, ...more }, callback)
}

/** What `connect` may hold besides options of `tls.connect`. It takes precedence over the agent's option of the same name. */
interface ConnectFields {
  /** How long connecting may take, in milliseconds, instead of `connectTimeout`. 0: no limit. @default 10000 */
  timeout?: number | null
  /** Whether the kernel probes idle connections: SO_KEEPALIVE (socket(7)). @default true */
  keepAlive?: boolean | null
  /** How long a connection is idle before the first probe, in milliseconds: TCP_KEEPIDLE (tcp(7)). @default 60000 */
  keepAliveInitialDelay?: number | null
  /** See `socketPath` of the agent. */
  socketPath?: string | null
  /** See `maxCachedSessions` of the agent. @default 100 */
  maxCachedSessions?: number | null
  /** The IP address to connect from. @default the kernel's choice */
  localAddress?: string
  /** The port to connect from; only one connection to a peer is then possible at a time. @default the kernel's choice */
  localPort?: number
  /** 4 or 6: addresses of this family only. @default 0 */
  family?: number
  /** Flags of getaddrinfo(3), as for `dns.lookup`. @default `dns.ADDRCONFIG` without a family */
  hints?: number
  /** Resolves names to addresses. @default `dns.lookup` */
  lookup?: LookupFunction
  /** See `autoSelectFamily` of the agent. */
  autoSelectFamily?: boolean
  /** See `autoSelectFamilyAttemptTimeout` of the agent; here it has an effect without `autoSelectFamily`, too. */
  autoSelectFamilyAttemptTimeout?: number
}

type GivenConnectOptions = ConnectOptions & ConnectFields

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
