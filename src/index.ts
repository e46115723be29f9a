/** The public names. */
export { type AgentStats, RecyclingAgent } from './agent.js'
export type { Counters, SingleConnectionStats } from './dispatcher-core.js'
export { install } from './install.js'
export type { PreconnectOptions, RecyclingAgentOptions } from './options.js'
export type { OriginStats } from './pool/origin-stats.js'
export type { SpareStats } from './pool/spares.js'
export { RecyclingPool, type RecyclingPoolOptions, type RecyclingPoolStats } from './recycling-pool.js'
export { Descriptor, type DescriptorObserver } from './socket-pool/descriptor.js'
export type { DescriptorState } from './socket-pool/descriptor-state.js'
export { Peer, type PeerAddress } from './socket-pool/peer.js'
export {
  type Endpoint,
  type RecycleMode,
  SocketPool,
  type SocketPoolOptions,
  type SocketPoolStats,
} from './socket-pool/socket-pool.js'
export type { TlsTransportName } from './tls/native-tls.js'
export type { TransportName } from './transport/choose.js'
export type { TlsStats } from './transport/tls-stats.js'
