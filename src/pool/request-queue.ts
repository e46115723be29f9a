/** The requests of a pool that wait for a connection, in their order. Taking the first is cheap, however long the queue. */
import type { Request } from '../request/request.js'

/** What was taken is let go when it is this many, and more than half of all. */
const SLACK = 256

export class RequestQueue {
  #requests: Request[] = []
  /** Of the first one that was not taken. */
  #head = 0

  get length(): number {
    return this.#requests.length - this.#head
  }

  get first(): Request | undefined {
    return this.#requests[this.#head]
  }

  push(request: Request): void {
    this.#requests.push(request)
  }

  /** Of a queue that is not empty. */
  takeFirst(): Request {
    const request = this.#requests[this.#head++]!
    if (this.#head > SLACK && this.#head * 2 > this.#requests.length) this.#requests = this.takeAll()
    return request
  }

  takeAll(): Request[] {
    const requests = this.#requests.slice(this.#head)
    this.#requests = []
    this.#head = 0
    return requests
  }

  /**
   * Takes those at the head whose error this is, too, since they have waited for the same connection as `cause`; the
   * others get a connection of their own.
   */
  takeFailing(error: Error, cause: Request): Request[] {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'UND_ERR_INFO' || code === 'UND_ERR_SOCKET') return []
    const requests = this.takeAll()
    // The peer has proved to be somebody else than the one that was asked for by this name.
    const isByName = code === 'ERR_TLS_CERT_ALTNAME_INVALID'
    const count = isByName ? requests.findIndex(({ servername }) => servername !== cause.servername) : -1
    if (count === -1) return requests
    this.#requests = requests.slice(count)
    return requests.slice(0, count)
  }

  putBefore(requests: readonly Request[]): void {
    if (requests.length > 0) this.#requests = [...requests, ...this.takeAll()]
  }

  /** Without effect for what is not in the queue. */
  remove(request: Request): void {
    const index = this.#requests.indexOf(request, this.#head)
    if (index >= 0) this.#requests.splice(index, 1)
  }
}
