/** Set-ups that are not alike and ought to be. One that has become alike fails until its entry is taken out. */

export interface Pending {
  /** As it is called in its file, or a pattern for several. */
  setUp: string | RegExp
  note: string
}

export const PENDING: readonly Pending[] = []

export const pendingOf = (name: string): Pending | undefined =>
  PENDING.find(({ setUp }) => (typeof setUp === 'string' ? setUp === name : setUp.test(name)))
