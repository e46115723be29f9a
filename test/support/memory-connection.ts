/** A connection without a kernel: what the peer says is written down, so both dispatchers can be given the same bytes. */
import { Buffer } from 'node:buffer'
import { Duplex } from 'node:stream'

/** How a peer ends a connection; `null`: it leaves it open. */
export type Ending = 'FIN' | 'RST' | null

/** What the peer says once it has as many whole heads of requests as it waits for. */
export interface Script {
  /** @default 1 */
  requests?: number
  /** Each piece can be read before the next one comes. */
  pieces: readonly Buffer[]
  ending: Ending
}

const endOfHead = Buffer.from('\r\n\r\n')

class MemoryConnection extends Duplex {
  #left: number
  readonly #script: Script

  constructor(script: Script) {
    super({ allowHalfOpen: false })
    this.#script = script
    this.#left = script.requests ?? 1
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    for (let at = bytes.indexOf(endOfHead); at >= 0; at = bytes.indexOf(endOfHead, at + 1)) {
      if (--this.#left === 0) setImmediate(() => void this.#speak())
    }
    callback()
  }

  async #speak(): Promise<void> {
    const { pieces, ending } = this.#script
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) await new Promise((resolve) => setImmediate(resolve))
      if (this.destroyed) return
      this.push(piece)
    }
    if (ending === null) return
    if (ending === 'FIN') {
      this.push(null)
      return
    }
    // What came before the reset was read by then.
    await new Promise((resolve) => setImmediate(resolve))
    this.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', errno: -104, syscall: 'read' }))
  }
}

type Connect = (options: unknown, callback: (error: Error | null, socket: Duplex | null) => void) => void

/** For the `connect` option of either dispatcher: the first connection follows the script, there is no second one. */
export function connectInMemory(script: Script): Connect {
  let isUsed = false
  return (_options, callback) => {
    if (isUsed) setImmediate(callback, new Error('no second connection'), null)
    else setImmediate(callback, null, new MemoryConnection(script))
    isUsed = true
  }
}
