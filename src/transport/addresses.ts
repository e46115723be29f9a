/** What is asked of a resolver, and the addresses to try that are in its answer, in Node's order. */
import { ADDRCONFIG, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'

/** The signature of `dns.lookup`, as `net.connect` takes it. */
export type LookupFunction = (
  hostname: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
) => void

export interface AddressOptions {
  /** A resolver of the caller's: what it says is neither shared nor remembered. Without it, that of the system. */
  lookup?: LookupFunction | undefined
  /** 4 or 6 restricts the answers; 0 does not. */
  family: number
  /** Flags of getaddrinfo(3). */
  hints?: number | undefined
  /** Try all answers (RFC 8305), not only the first. Without effect where family or local address leave no choice. */
  autoSelectFamily: boolean
  localAddress?: string | undefined
}

/** The options of a lookup, as Node's net makes them (node:net, lookupAndConnect). */
export function lookupOptions({ family, hints, autoSelectFamily, localAddress }: AddressOptions): LookupOptions {
  const isFree = family !== 4 && family !== 6
  const all = autoSelectFamily && isFree && localAddress === undefined
  // Node's net asks for addresses of configured families only, unless one is given.
  return { family, all, hints: hints || (isFree ? ADDRCONFIG : 0) }
}

/**
 * The addresses in an answer: at least one.
 *
 * @throws ERR_INVALID_IP_ADDRESS for what is none, as Node does
 */
export function addressesIn(answer: string | LookupAddress[], family: number | undefined): LookupAddress[] {
  const found = Array.isArray(answer) ? answer : [{ address: answer, family: family ?? isIP(answer) }]
  const invalid = found.find(({ address }) => isIP(address) === 0)
  if (found.length === 0 || invalid !== undefined) {
    throw invalidAddress(invalid?.address)
  }
  return interleave(found)
}

function invalidAddress(address: string | undefined): NodeJS.ErrnoException {
  return Object.assign(new TypeError(`Invalid IP address: ${address}`), { code: 'ERR_INVALID_IP_ADDRESS' })
}

/**
 * A resolver of the caller's that keeps to what Node expects of it: it answers once, and what it throws is its answer.
 * What it says, or throws, afterwards has no effect: with Node's own sockets each would be an uncaught exception.
 */
export function answeringOnce(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    let hasAnswered = false
    const answer: typeof callback = (error, address, family) => {
      if (hasAnswered) return
      hasAnswered = true
      // Of no address at all Node's own sockets make an exception.
      if (!error && Array.isArray(address) && address.length === 0) callback(invalidAddress(undefined), address)
      else callback(error, address, family)
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
