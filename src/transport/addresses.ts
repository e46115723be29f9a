/**
 * From a host to the addresses to try, in Node's order: an IP literal as it is, anything else through `lookup`.
 */
import { ADDRCONFIG, lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'

/** The signature of `dns.lookup`, as `net.connect` takes it. */
export type LookupFunction = (
  hostname: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
) => void

export interface AddressOptions {
  lookup?: LookupFunction | undefined
  /** 4 or 6 restricts the answers; 0 does not. */
  family: number
  /** Flags of getaddrinfo(3). */
  hints?: number | undefined
  /** Try all answers (RFC 8305), not only the first. Without effect where family or local address leave no choice. */
  autoSelectFamily: boolean
  localAddress?: string | undefined
}

/**
 * Calls back with at least one address, or with the resolver's error.
 *
 * @param hostname IPv6 literals without brackets
 */
export function resolveAddresses(
  hostname: string,
  { lookup, family, hints, autoSelectFamily, localAddress }: AddressOptions,
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
): void {
  const literalFamily = isIP(hostname)
  if (literalFamily !== 0) {
    callback(null, [{ address: hostname, family: literalFamily }])
    return
  }
  const all = autoSelectFamily && family === 0 && localAddress === undefined
  // Node's net asks for addresses of configured families only, unless one is given.
  const options: LookupOptions = { family, all, hints: hints ?? (family === 0 ? ADDRCONFIG : 0) }
  const resolve = lookup === undefined ? (dnsLookup as LookupFunction) : answeringOnce(lookup)
  resolve(hostname, options, (error, answer, answerFamily) => {
    if (error) return callback(error, [])
    const found = Array.isArray(answer) ? answer : [{ address: answer, family: answerFamily ?? isIP(answer) }]
    const invalid = found.find(({ address }) => isIP(address) === 0)
    if (found.length === 0 || invalid !== undefined) {
      const error = new TypeError(`Invalid IP address: ${invalid?.address}`) as NodeJS.ErrnoException
      error.code = 'ERR_INVALID_IP_ADDRESS'
      return callback(error, [])
    }
    callback(null, interleave(found))
  })
}

/**
 * A resolver of the caller's that keeps to what Node expects of it: it answers once, and what it throws is its answer.
 * What it says, or throws, afterwards has no effect: with Node's own sockets each would be an uncaught exception.
 */
export function answeringOnce(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    let hasAnswered = false
    const answer: typeof callback = (...answered) => {
      if (hasAnswered) return
      hasAnswered = true
      callback(...answered)
    }
    try {
      lookup(hostname, options, answer)
    } catch (error) {
      answer(error as Error, [])
    }
  }
}

/** Families by turns, beginning with that of the first answer: RFC 8305 4, as Node's net does it. */
export function interleave(addresses: readonly LookupAddress[]): LookupAddress[] {
  const first = addresses[0]?.family
  const preferred = addresses.filter(({ family }) => family === first)
  const others = addresses.filter(({ family }) => family !== first)
  const order: LookupAddress[] = []
  for (let i = 0; i < Math.max(preferred.length, others.length); i++) {
    if (i < preferred.length) order.push(preferred[i]!)
    if (i < others.length) order.push(others[i]!)
  }
  return order
}
