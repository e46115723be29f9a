/** Set-ups in which RecyclingAgent is not like undici's Agent on purpose, with the reason and what it does instead. */

export interface Deviation {
  /** As it is called in its file. */
  setUp: string
  reason: string
  /** What comes of each request: `answer`, or an error's code. */
  ours: readonly string[]
}

export const DEVIATIONS: readonly Deviation[] = []

/** What differs in no matter which set-up. */
export const EVERYWHERE = {
  noPath: {
    reason: "Without a Unix socket the `path` in Node's error for an early end is undefined with undici, null with us",
    apply: (path: unknown): unknown => path ?? undefined,
  },
} as const
