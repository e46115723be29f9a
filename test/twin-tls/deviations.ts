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

/** Set-ups in which a native handshake leads to something else on the way, and to the same for those who ask. */
export const OTHERWISE_NATIVE: Readonly<Record<string, string>> = {
  'a server that negotiates again':
    'A renegotiation could bring another peer (RFC 5746): it is refused natively, and the next request gets another connection',
}

/** What differs in no matter which set-up. */
export const EVERYWHERE = {
  madeAgain: {
    reason:
      'A connection that is not made natively is made once more by Node, whose error is told: its server meets it twice',
    apply: <E extends readonly unknown[]>(log: readonly E[]): E[] =>
      log.filter((entry, i) => {
        const isMeeting = (one: E): boolean => one[0] === 'server' && one[1] === 'met'
        const text = JSON.stringify(entry)
        return (
          !isMeeting(entry) || !log.slice(0, i).some((before) => isMeeting(before) && JSON.stringify(before) === text)
        )
      }),
  },
  http1: {
    reason: 'HTTP/1.1 is what we speak; undici 8 offers HTTP/2 besides, unless it is told not to',
    options: { allowH2: false },
  },
  noPath: {
    reason: "Without a Unix socket the `path` in Node's error for an early end is undefined with undici, null with us",
    apply: (path: unknown): unknown => path ?? undefined,
  },
} as const
