/** The package itself and undici, loaded when they are needed, so that it can be said when one of them is missing. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Failure, lineOf } from './failure.js'

export type RecyclingAgentClass = typeof import('../index.js').RecyclingAgent
export type Undici = typeof import('undici')

export interface Packages {
  RecyclingAgent: RecyclingAgentClass
  undici: Undici
}

/** @throws Failure when undici, which the package imports, is not there or none that it works with */
export async function loadPackages(): Promise<Packages> {
  try {
    const undici = await import('undici')
    const { RecyclingAgent } = await import('../index.js')
    return { RecyclingAgent, undici }
  } catch (error) {
    throw new Failure(`undici cannot be loaded (${lineOf(error)}): npm install undici@7`, { cause: error })
  }
}

/** @returns `null` where there is none */
export function undiciVersion(): string | null {
  try {
    return (createRequire(import.meta.url)('undici/package.json') as { version: string }).version
  } catch {
    return null
  }
}

/** Of this package. */
export function ownVersion(): string {
  // dist/ and src/cli/ are not equally far from it.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
      if (name === 'recycling-agent') return version
    } catch {
      // The other one, then.
    }
  }
  return 'unknown'
}
