/** What goes over the loopback interface, as tshark sees it. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'

export interface Segment {
  /** CLOCK_REALTIME, in nanoseconds. */
  timeNs: bigint
  sourcePort: number
  destinationPort: number
  /** As it is on the wire, modulo 2^32. */
  sequence: number
  syn: boolean
  ack: boolean
  fin: boolean
  reset: boolean
  /** Bytes of payload. */
  length: number
}

/** Why there is no capturing here; `null` where there is. */
export const whyNoCapture: string | null = findReason()

function findReason(): string | null {
  const { error, status, stderr } = spawnSync('tshark', ['-D'], { encoding: 'utf8', timeout: 10_000 })
  if (error !== undefined) return 'tshark is not installed'
  // Without the permission to capture there is no interface to list.
  return status === 0 ? null : `tshark may not capture: ${stderr.trim().split('\n').at(-1)}`
}

const FIELDS = [
  'udp.dstport',
  'udp.length',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.flags',
  'tcp.len',
  'tcp.seq_raw',
  'frame.time_epoch',
]
const PROBE_INTERVAL_MS = 20

/** A running capture of the TCP segments from and to one port. */
export class Capture {
  readonly #tshark: ChildProcessWithoutNullStreams
  readonly #marker: Socket
  readonly #segments: Segment[] = []
  /** Lengths of the datagrams seen, by which those who sent them know them again. */
  readonly #marks = new Set<number>()
  #onMark: (() => void) | null = null
  #stderr = ''

  private constructor(tshark: ChildProcessWithoutNullStreams, marker: Socket) {
    this.#tshark = tshark
    this.#marker = marker
    tshark.stderr.on('data', (text) => {
      this.#stderr += text
    })
    createInterface({ input: tshark.stdout }).on('line', (line) => this.#receive(line))
  }

  /** Resolves when segments are really captured. */
  static async start(port: number): Promise<Capture> {
    const marker = createSocket('udp4')
    marker.bind(0, '127.0.0.1')
    await once(marker, 'listening')
    const { port: markerPort } = marker.address() as AddressInfo
    const filter = `tcp port ${port} or udp dst port ${markerPort}`
    const fields = FIELDS.flatMap((field) => ['-e', field])
    const tshark = spawn('tshark', [
      '-n',
      '-l',
      '-i',
      'lo',
      '-f',
      filter,
      '-T',
      'fields',
      '-E',
      'separator=,',
      ...fields,
    ])
    const capture = new Capture(tshark, marker)
    await capture.#mark(1)
    return capture
  }

  /** Ends the capture. @returns everything that was sent before this call, in order */
  async stop(): Promise<Segment[]> {
    await this.#mark(2)
    this.#marker.close()
    const exited = once(this.#tshark, 'exit')
    this.#tshark.kill('SIGINT')
    const killer = setTimeout(() => this.#tshark.kill('SIGKILL'), 5000)
    await exited
    clearTimeout(killer)
    return this.#segments
  }

  /** Sends datagrams of a length of their own until one was captured: what was sent before is then captured, too. */
  async #mark(length: number): Promise<void> {
    const { port } = this.#marker.address() as AddressInfo
    const send = (): void => this.#marker.send(Buffer.alloc(length), port, '127.0.0.1')
    const probing = setInterval(send, PROBE_INTERVAL_MS)
    send()
    try {
      await new Promise<void>((resolve, reject) => {
        this.#onMark = () => {
          if (this.#marks.has(length)) resolve()
        }
        this.#tshark.once('error', reject)
        this.#tshark.once('exit', () => reject(new Error(`tshark has ended: ${this.#stderr}`)))
      })
    } finally {
      clearInterval(probing)
      this.#tshark.removeAllListeners('exit')
    }
  }

  #receive(line: string): void {
    const [udpPort, udpLength, sourcePort, destinationPort, flags, length, sequence, seconds] = line.split(',')
    if (udpPort !== '') {
      // The header is counted, too.
      this.#marks.add(Number(udpLength) - 8)
      this.#onMark?.()
      return
    }
    const bits = Number(flags)
    this.#segments.push({
      timeNs: BigInt(seconds!.replace('.', '')),
      sourcePort: Number(sourcePort),
      destinationPort: Number(destinationPort),
      fin: (bits & 0x01) !== 0,
      syn: (bits & 0x02) !== 0,
      reset: (bits & 0x04) !== 0,
      ack: (bits & 0x10) !== 0,
      length: Number(length),
      sequence: Number(sequence),
    })
  }
}
