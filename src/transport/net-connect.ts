/**
 * undici's connector over ordinary sockets, with the names of one agent. Several addresses are tried as Node does it: one
 * after the other, each given up after its share of the time.
 */
import type { Socket } from 'node:net'
import { connectFailedError, connectTimeoutErrorOf, isTimeout } from '../errors.js'
import { buildConnector } from '../undici.js'
import { answeringOnce, lookupOptions } from './addresses.js'
import { type Names, Question } from './names.js'
import type { ConnectFunction, ConnectOptions, Target } from './transport.js'

/** @throws for options that no context can be made of */
export function netConnector(target: Target, names: Names, options: ConnectOptions): ConnectFunction {
  const { hostname, port } = target
  const lookup = target.lookup === undefined ? names.lookup : answeringOnce(target.lookup)
  const connect = buildConnector({ ...options, lookup, allowH2: false, timeout: 0 } as ConnectOptions)
  const question = target.lookup === undefined ? new Question(hostname, lookupOptions(target)) : null
  return (parameters, callback) =>
    connect(parameters, (...[error, socket]) => {
      if (question !== null) learn(names, question, error === null ? socket : null)
      if (error === null) callback(null, socket)
      else callback(told(error, `${hostname}:${port}`), null)
    })
}

/** @param socket `null` when none of the addresses could be connected to */
function learn(names: Names, question: Question, socket: Socket | null): void {
  const answer = names.recall(question)
  if (answer === null) return
  if (socket === null) names.forget(answer)
  else if (answer.address.length > 1 && Array.isArray(answer.address)) names.prefer(answer, socket.remoteAddress ?? '')
}

/** Where several addresses have failed: the same error on both transports. */
function told(error: Error, target: string): Error {
  // undici 8 makes a ConnectTimeoutError of it itself.
  const failure = error.cause ?? error
  if (!(failure instanceof AggregateError)) return error
  const attempts = failure.errors.map((error: NodeJS.ErrnoException & { address?: string }) => ({
    address: error.address ?? '',
    error,
  }))
  const all = connectFailedError(target, attempts)
  return isTimeout(all) ? connectTimeoutErrorOf(all) : all
}
