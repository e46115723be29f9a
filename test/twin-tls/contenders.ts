/** On what the set-ups are played besides undici's Agent. */
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { isNative } from '../support/transport.js'

/** The ways to make TLS, by the options that choose them: a new one is one more line. */
export const TLS_PATHS: RecyclingAgentOptions[] = [{ tlsTransport: 'native' }, { tlsTransport: 'node' }]

const transports = isNative ? (['native', 'net'] as const) : (['net'] as const)

export interface Contender {
  name: string
  chosen: RecyclingAgentOptions
  make(options: RecyclingAgentOptions): RecyclingAgent
}

const nameOf = (chosen: RecyclingAgentOptions): string =>
  Object.entries(chosen)
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')

/** Each path over each transport. */
export const contenders: Contender[] = TLS_PATHS.flatMap((path) =>
  transports.map((transport) => {
    const chosen = { transport, ...path }
    return { name: nameOf(chosen), chosen, make: (options) => new RecyclingAgent({ ...options, ...chosen }) }
  }),
)
