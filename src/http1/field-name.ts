/**
 * Field names in lower case. Peers send the same few names over and over: these are found by a look at their characters,
 * and no string is made for them.
 */
import { Buffer } from 'node:buffer'

interface KnownName {
  /** As it was received. */
  readonly name: string
  readonly lower: string
}

/** A power of two. Where two names have the same place the later one stands: peers cannot make it grow. */
const PLACES = 1024
const known = new Array<KnownName | undefined>(PLACES).fill(undefined)
/** Longer names are not worth keeping: which names there are is up to the peers. */
const LONGEST_KEPT_NAME = 64

/** The field name in `text[offset, offset + length)`, in lower case. Not empty. */
export function lowerCased(text: string, offset: number, length: number): string {
  const place = placeOf(text, offset, length)
  const candidate = known[place]
  if (candidate !== undefined && isAt(text, offset, length, candidate.name)) return candidate.lower
  const name = text.substring(offset, offset + length)
  const lower = name.toLowerCase()
  if (length <= LONGEST_KEPT_NAME) known[place] = { name: ownCopy(name), lower: asKey(lower) }
  return lower
}

function placeOf(text: string, offset: number, length: number): number {
  const first = text.charCodeAt(offset)
  const middle = text.charCodeAt(offset + (length >> 1))
  const last = text.charCodeAt(offset + length - 1)
  return (((first * 31 + middle) * 31 + last) * 31 + length) & (PLACES - 1)
}

function isAt(text: string, offset: number, length: number, name: string): boolean {
  if (name.length !== length) return false
  for (let i = 0; i < length; i++) if (text.charCodeAt(offset + i) !== name.charCodeAt(i)) return false
  return true
}

/** A substring holds on to the head that it was taken from; this has memory of its own. */
function ownCopy(name: string): string {
  return Buffer.from(name, 'latin1').toString('latin1')
}

/** The one string that V8 keeps for keys of this name: objects find it without comparing characters. */
function asKey(name: string): string {
  return Object.keys({ [ownCopy(name)]: null })[0]!
}
