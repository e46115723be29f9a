/** Sockets to one upstream as the kernel lists them: which are in TIME_WAIT, and which are on their way to their end. */
import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { encodeInternet } from '../sys/sockaddr.js'

/** As in include/net/tcp_states.h. */
const TIME_WAIT = '06'
/** FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK and CLOSING. */
const ENDING: readonly string[] = ['04', '05', '08', '09', '0B']

/** How long connections may take to their end before they are counted, and how often is looked. */
const SETTLE_MS = 250
const POLL_MS = 10

/** Connections that were left in TIME_WAIT, by the side that holds them: the upstream's, where it is on this host. */
export interface TimeWait {
  client: number
  upstream: number
}

interface Row {
  /** Of the connection, for as long as it is listed. */
  key: string
  state: string
  side: keyof TimeWait
}

export class TimeWaitTable {
  readonly #port: string
  readonly #addresses: ReadonlySet<string>
  /** Connections that were in TIME_WAIT already. */
  #known: ReadonlySet<string> = new Set()

  private constructor(addresses: ReadonlySet<string>, port: number) {
    this.#addresses = addresses
    this.#port = hexadecimal(port, 4)
  }

  /** @throws where the name cannot be resolved */
  static async of({ hostname, port, protocol }: URL): Promise<TimeWaitTable> {
    const host = hostname.replace(/^\[|\]$/g, '')
    const found = isIP(host) > 0 ? [host] : (await lookup(host, { all: true })).map(({ address }) => address)
    const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
    return new TimeWaitTable(new Set(found.map(addressKey)), number)
  }

  /**
   * What is in TIME_WAIT and was not when this was called before, once no connection is on its way to its end, or that
   * takes long; `null` where it is not known. Of the first call all that there is.
   */
  async left(): Promise<TimeWait | null> {
    let rows = this.#rows()
    for (let waited = 0; rows?.some(isEnding) && waited < SETTLE_MS; waited += POLL_MS) {
      await setTimeout(POLL_MS)
      rows = this.#rows()
    }
    if (rows === null) return null
    const waiting = rows.filter(({ state }) => state === TIME_WAIT)
    const count: TimeWait = { client: 0, upstream: 0 }
    for (const { key, side } of waiting) if (!this.#known.has(key)) count[side]++
    this.#known = new Set(waiting.map(({ key }) => key))
    return count
  }

  #rows(): Row[] | null {
    try {
      // The machine may have no IPv6.
      return [...this.#rowsOf('tcp'), ...orNone(() => this.#rowsOf('tcp6'))]
    } catch {
      return null
    }
  }

  /** proc_net(5): local and remote address, and state, in hexadecimal. */
  #rowsOf(family: 'tcp' | 'tcp6'): Row[] {
    const rows: Row[] = []
    for (const [key, localAddress, localPort, address, port, state] of readFileSync(
      `/proc/net/${family}`,
      'latin1',
    ).matchAll(/(?<=: )([0-9A-F]{8,32}):([0-9A-F]{4}) ([0-9A-F]{8,32}):([0-9A-F]{4}) ([0-9A-F]{2})/g)) {
      const side = this.#isUpstream(address!, port!)
        ? 'client'
        : this.#isUpstream(localAddress!, localPort!)
          ? 'upstream'
          : null
      if (side !== null) rows.push({ key: key.slice(0, -3), state: state!, side })
    }
    return rows
  }

  #isUpstream(address: string, port: string): boolean {
    return port === this.#port && this.#addresses.has(addressKeyOf(address))
  }
}

const isEnding = ({ state }: Row): boolean => ENDING.includes(state)

const hexadecimal = (number: number, digits: number): string => number.toString(16).toUpperCase().padStart(digits, '0')

const MAPPED = '00000000000000000000FFFF'

/** The bytes of an IP literal, in hexadecimal; of an IPv4 address mapped to IPv6 (RFC 4291 2.5.5.2) those of the former. */
function addressKey(address: string): string {
  const bytes = encodeInternet(address, 0)
  const key = (isIP(address) === 4 ? bytes.subarray(4, 8) : bytes.subarray(8, 24)).toString('hex').toUpperCase()
  return withoutMapping(key)
}

/** The same of an address as the kernel lists it: words of 32 bits in the host's byte order, which is little-endian. */
function addressKeyOf(words: string): string {
  const key = words.replace(/(..)(..)(..)(..)/g, '$4$3$2$1')
  return withoutMapping(key)
}

const withoutMapping = (key: string): string => (key.startsWith(MAPPED) ? key.slice(MAPPED.length) : key)

function orNone(rows: () => Row[]): Row[] {
  try {
    return rows()
  } catch {
    return []
  }
}
