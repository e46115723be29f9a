/**
 * Which transport the agent runs on: descriptors of its own, or with RECYCLING_AGENT_TRANSPORT=net ordinary net sockets,
 * where tests of what the kernel sees are not tried. Test files of the lowest layers are left out in vitest.config.ts.
 */
import { describe, it } from 'vitest'
import { isTried } from './gate.js'

/** The agent's connections are descriptors of its own. */
export const isNative: boolean = process.env.RECYCLING_AGENT_TRANSPORT !== 'net'

/** Why tests of descriptors are not tried, or `null`. */
export const whyNotNative: string | null = isNative ? null : 'with net sockets there are no descriptors of the agent'

/** `describe` for tests of descriptors, of recycling and of its counters. */
export const describeNative: typeof describe = describe.runIf(isTried(whyNotNative)) as typeof describe

/** `it` for the same. */
export const itNative: typeof it = it.runIf(isTried(whyNotNative)) as typeof it
