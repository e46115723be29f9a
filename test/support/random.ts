/** Chance that can be had again: the seed is printed, and comes from RECYCLING_AGENT_SEED when that is set. */

export const DEFAULT_SEED = 20_250_101

/** @param who for the line that is printed */
export function seedOf(who: string): number {
  const given = process.env.RECYCLING_AGENT_SEED
  const seed = given === undefined ? DEFAULT_SEED : Number(given) >>> 0
  console.info(`${who}: RECYCLING_AGENT_SEED=${seed}`)
  return seed
}

/** A number from 0 to below `bound`. */
export type Random = (bound: number) => number

/** Mulberry32: 32 bits of state are enough for tests. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}
