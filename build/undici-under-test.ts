/*
 * The undici that the sources and the tests get when they import 'undici': the development dependency of that name, or
 * with the environment variable UNDICI=8 the one named 'undici-8'. Types are always those of 'undici'.
 */

const major = process.env.UNDICI ?? '7'
if (major !== '7' && major !== '8') throw new Error(`UNDICI must be 7 or 8, not ${major}`)

/** Its major version. */
export const undiciMajor: 7 | 8 = major === '8' ? 8 : 7

/** The name under which it is installed. */
export const undiciUnderTest: 'undici' | 'undici-8' = undiciMajor === 8 ? 'undici-8' : 'undici'
