/** Set-ups in which RecyclingAgent is not like undici's Agent on purpose, with the reason and what it does instead. */

export interface Deviation {
  /** As it is called in its file, or a pattern for several. */
  setUp: string | RegExp
  reason: string
  /** The codes of the errors in either's log; all else is the same. */
  undicis: RegExp
  ours: RegExp
}

export const DEVIATIONS: readonly Deviation[] = [
  {
    // Node emits the error without destroying the socket, and then its end, for which undici makes another error.
    setUp:
      /^TLSv1\.3, not there$|^a key of another kind$|^a (key|certificate) without a (key|certificate)$|^TLSv1\.3: .* behind [67] records$/,
    reason: 'What TLS says against an open connection is told; undici forgets it for the FIN that follows',
    undicis: /^UND_ERR_SOCKET$/,
    ours: /^ERR_SSL_/,
  },
]

export const deviationOf = (name: string): Deviation | undefined =>
  DEVIATIONS.find(({ setUp }) => (typeof setUp === 'string' ? setUp === name : setUp.test(name)))

/** What differs in no matter which set-up. */
export const EVERYWHERE = {
  http1: {
    reason: 'HTTP/1.1 is what we speak; undici 8 offers HTTP/2 besides, unless it is told not to',
    options: { allowH2: false },
  },
  noPath: {
    reason: "Without a Unix socket the `path` in Node's error for an early end is undefined with undici, null with us",
    apply: (path: unknown): unknown => path ?? undefined,
  },
} as const
