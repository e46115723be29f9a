/** What a client says first over TLS, taken apart (RFC 8446 4.1.2). */
import { rawServer } from './raw-server.js'

export interface ClientHello {
  legacyVersion: number
  sessionIdLength: number
  cipherSuites: number[]
  compressionMethods: string
  /** In their order, each with its type and its content in hexadecimal, but for keys. */
  extensions: [type: number, content: string][]
}

const KEY_SHARE = 51

/** Reads numbers and vectors of numbers of bytes, one behind the other. */
class Cursor {
  #at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  number(size: number): number {
    const value = this.#bytes.readUIntBE(this.#at, size)
    this.#at += size
    return value
  }

  take(size: number): Buffer {
    this.#at += size
    return this.#bytes.subarray(this.#at - size, this.#at)
  }

  /** What a length of so many bytes stands before. */
  vector(lengthSize: number): Buffer {
    return this.take(this.number(lengthSize))
  }
}

/** @param records the client's first flight */
export function parseClientHello(records: Buffer): ClientHello {
  const record = new Cursor(records)
  record.take(3)
  const handshake = new Cursor(record.vector(2))
  handshake.take(1)
  const hello = new Cursor(handshake.vector(3))
  const legacyVersion = hello.number(2)
  // The random.
  hello.take(32)
  const sessionIdLength = hello.vector(1).length
  const suites = hello.vector(2)
  const cipherSuites = Array.from({ length: suites.length / 2 }, (_, i) => suites.readUInt16BE(2 * i))
  const compressionMethods = hello.vector(1).toString('hex')
  const extensions: ClientHello['extensions'] = []
  const rest = new Cursor(hello.vector(2))
  while (!rest.isAtEnd) {
    const type = rest.number(2)
    const content = rest.vector(2)
    extensions.push([type, type === KEY_SHARE ? keyShares(content) : content.toString('hex')])
  }
  return { legacyVersion, sessionIdLength, cipherSuites, compressionMethods, extensions }
}

/** Groups, and how long their keys are (RFC 8446 4.2.8). */
function keyShares(content: Buffer): string {
  const shares = new Cursor(new Cursor(content).vector(2))
  const groups: string[] = []
  while (!shares.isAtEnd) groups.push(`group ${shares.number(2)}: ${shares.vector(2).length} bytes`)
  return groups.join(', ')
}

/** A server that never answers. @returns its port, and the next hello */
export async function listenForHellos(): Promise<{ port: number; nextHello(): Promise<ClientHello> }> {
  const server = await rawServer(() => {})
  let next = 0
  return {
    port: server.port,
    async nextHello() {
      const peer = await server.peer(next++)
      const length = (): number => 5 + Buffer.from(peer.pending.slice(3, 5), 'latin1').readUInt16BE()
      await peer.received(/^.{5}/s)
      while (peer.pending.length < length()) await peer.received(new RegExp(`^.{${peer.pending.length + 1}}`, 's'))
      return parseClientHello(Buffer.from(peer.pending, 'latin1'))
    },
  }
}
