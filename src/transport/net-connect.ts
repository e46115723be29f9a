/**
 * undici's connector over ordinary sockets, with the names of one agent. Several addresses are tried as Node does it: one
 * after the other, each given up after its share of the time.
 */
import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import { connectFailedError, connectTimeoutErrorOf, isTimeout } from '../errors.js'
import { lookupOptions } from './addresses.js'
import { type Names, Question } from './names.js'
import type { ConnectFunction, ConnectOptions, Target } from './transport.js'

/** @throws for options that no context can be made of */
export function netConnector(target: Target, names: Names, options: ConnectOptions): ConnectFunction {
  const { hostname, port, lookup = names.lookup } = target
  const connect = buildConnector({ ...options, lookup, allowH2: false, timeout: 0 } as ConnectOptions)
  if (target.lookup !== undefined) {
    return (parameters, callback) =>
      connect(parameters, (error, socket) => callback(told(error, hostname, port) as null, socket as Socket))
  }
  const question = new Question(hostname, lookupOptions(target))
  return (parameters, callback) =>
    connect(parameters, (error, socket) => {
      const answer = names.recall(question)
      if (answer !== null && error !== null) names.forget(answer)
      else if (answer !== null && Array.isArray(answer.address) && answer.address.length > 1) {
        names.prefer(answer, (socket as Socket).remoteAddress ?? '')
      }
      callback(told(error, hostname, port) as null, socket as Socket)
    })
}

/** Where several addresses have failed: the same error on both transports. */
function told(error: Error | null, hostname: string, port: number): Error | null {
  // undici 8 makes a ConnectTimeoutError of it itself.
  const failure = error?.cause ?? error
  if (!(failure instanceof AggregateError)) return error
  const attempts = failure.errors.map((error: NodeJS.ErrnoException & { address?: string }) => ({
    address: error.address ?? '',
    error,
  }))
  const all = connectFailedError(`${hostname}:${port}`, attempts)
  return isTimeout(all) ? connectTimeoutErrorOf(all) : all
}
