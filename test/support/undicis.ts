/** Every copy of undici that a program of today may hold, whichever of them the sources are tested with. */
import { createRequire } from 'node:module'

export type Undici = typeof import('undici')

/** What undici 8 has and 7 has not. */
export type Undici8 = Undici & {
  Dispatcher1Wrapper: new (dispatcher: import('undici').Dispatcher) => import('undici').Agent
}

const require = createRequire(import.meta.url)

/** Not resolved as the sources' own import is. */
export const undici7: Undici = require('undici')

/** Why there is no undici 8 here, or `null`. */
export const whyNoUndici8: string | null = isOldNode() ? 'undici 8 needs Node.js 22.19' : null

export const undici8: Undici8 | null = whyNoUndici8 === null ? require('undici-8') : null

function isOldNode(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major < 22 || (major === 22 && minor < 19)
}

/** For describe.each. */
export const undicis: [name: string, undici: Undici][] = [
  ['undici 7', undici7],
  ...(undici8 === null ? [] : ([['undici 8', undici8]] satisfies [string, Undici][])),
]

const GLOBAL_DISPATCHERS = [Symbol.for('undici.globalDispatcher.1'), Symbol.for('undici.globalDispatcher.2')]

/** The two places where undici looks for the global dispatcher. */
export function globalDispatchers(): unknown[] {
  return GLOBAL_DISPATCHERS.map((symbol) => (globalThis as Record<symbol, unknown>)[symbol])
}

/** Puts back what {@link globalDispatchers} had returned. */
export function restoreGlobalDispatchers(saved: unknown[]): void {
  GLOBAL_DISPATCHERS.forEach((symbol, i) => {
    Object.assign(globalThis, { [symbol]: saved[i] })
  })
}
