/**
 * Carries packets between two tun devices, and loses, repeats and delays some of them.
 *
 * The devices are descriptors 3 and 4. Argument: a {@link Badness} as JSON. Whatever comes on the standard input is
 * answered with {@link Counts} as a line of JSON. Reads that block keep it from ending by itself: it is to be killed.
 */
import { read, writeSync } from 'node:fs'
import { randomOf } from '../../support/random.js'

export interface Badness {
  seed: number
  /** In percent. */
  lost: number
  repeated: number
  /** The most; each packet has a delay of its own, by which some overtake others. */
  delayMs: number
}

export interface Counts {
  packets: number
  lost: number
  repeated: number
  /** Arrived behind one that was sent later. */
  overtaken: number
}

const { seed, lost, repeated, delayMs }: Badness = JSON.parse(process.argv[2]!)
const random = randomOf(seed)
const counts: Counts = { packets: 0, lost: 0, repeated: 0, overtaken: 0 }

function carry(from: number, to: number): void {
  const buffer = Buffer.alloc(65_536)
  let latest = 0
  let count = 0
  const send = (packet: Buffer, index: number): void => {
    setTimeout(
      () => {
        if (index < latest) counts.overtaken++
        latest = Math.max(latest, index)
        writeSync(to, packet)
      },
      random(delayMs + 1),
    )
  }
  const next = (): void => {
    read(from, buffer, 0, buffer.length, null, (error, length) => {
      if (error !== null) throw error
      const index = ++count
      const packet = Buffer.from(buffer.subarray(0, length))
      counts.packets++
      if (random(100) < lost) {
        counts.lost++
      } else {
        send(packet, index)
        if (random(100) < repeated) {
          counts.repeated++
          send(packet, index)
        }
      }
      next()
    })
  }
  next()
}

carry(3, 4)
carry(4, 3)
process.stdin.on('data', () => console.log(JSON.stringify(counts)))
