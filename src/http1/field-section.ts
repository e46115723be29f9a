/**
 * The field lines of one section (RFC 9110 5): a head's or a trailer section's. Keeps the received bytes and the places
 * of names and values in them; the two forms that undici's handlers take are made when they are asked for.
 */
import { Buffer } from 'node:buffer'
import { lowerCased } from './field-name.js'

/** Field values by lower-cased name; repeated fields become an array, in order of arrival. */
export type FieldRecord = Record<string, string | string[]>

export class FieldSection {
  readonly #bytes: Buffer
  readonly #text: string
  /** Name offset, name length, value offset, value length; and so on. */
  readonly #places: readonly number[]

  /**
   * @param bytes the section as it was received; never written to again
   * @param text the same, decoded as latin1
   */
  constructor(bytes: Buffer, text: string, places: readonly number[]) {
    this.#bytes = bytes
    this.#text = text
    this.#places = places
  }

  static readonly empty = new FieldSection(Buffer.alloc(0), '', [])

  /** Name and value Buffers by turns, in the peer's order and case; the form of undici's legacy handlers. */
  toRaw(): Buffer[] {
    const bytes = this.#bytes
    const places = this.#places
    const raw = new Array<Buffer>(places.length >> 1)
    for (let i = 0; i < places.length; i += 2) {
      const offset = places[i]!
      raw[i >> 1] = bytes.subarray(offset, offset + places[i + 1]!)
    }
    return raw
  }

  /** The form of undici's new handlers. */
  toRecord(): FieldRecord {
    const text = this.#text
    const places = this.#places
    const record: FieldRecord = {}
    for (let i = 0; i < places.length; i += 4) {
      const nameOffset = places[i]!
      const valueOffset = places[i + 2]!
      const name = lowerCased(text, nameOffset, places[i + 1]!)
      const value = text.substring(valueOffset, valueOffset + places[i + 3]!)
      const present = record[name]
      if (present === undefined) record[name] = value
      else if (!Object.hasOwn(record, name)) define(record, name, value)
      else if (typeof present === 'string') record[name] = [present, value]
      else present.push(value)
    }
    return record
  }

  /** All values of one field; '' when it is absent or empty. @param name lower case */
  joined(name: string, separator: string): string {
    const text = this.#text
    const places = this.#places
    let joined = ''
    for (let i = 0; i < places.length; i += 4) {
      if (places[i + 1] !== name.length || lowerCased(text, places[i]!, name.length) !== name) continue
      const valueOffset = places[i + 2]!
      const value = text.substring(valueOffset, valueOffset + places[i + 3]!)
      joined = joined === '' ? value : joined + separator + value
    }
    return joined
  }
}

/** `__proto__` and the other names that every object inherits become own properties. */
function define(record: FieldRecord, name: string, value: string): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true })
}
