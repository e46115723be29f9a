/** What works here: each thing that recycling needs, what was found of it, and what to do about it. */
import { release } from 'node:os'
import { assertDissolves } from '../socket-pool/sockets.js'
import { CALLER, type Inventory, SYMBOLS, takeInventory } from '../sys/inventory.js'
import { Failure, lineOf } from './failure.js'
import { loadPackages, undiciVersion } from './packages.js'
import { localPorts, openFileLimit } from './system.js'
import { type TlsReport, tlsMaker, tlsReport } from './tls-report.js'
import { type Choice, chooseTransport, type Trial, tryTransport } from './transport.js'

/** `good`: as it should be; `note`: it works, and there is something to know; `bad`: it keeps sockets from being recycled. */
export type State = 'good' | 'note' | 'bad'

export interface Finding {
  name: string
  state: State
  /** What was found. */
  found: string
  /** What to do about it; `null`: nothing. */
  advice: string | null
}

export interface Findings {
  isRecycling: boolean
  findings: Finding[]
}

const good = (name: string, found: string, advice: string | null = null): Finding => ({
  name,
  state: 'good',
  found,
  advice,
})
const bad = (name: string, found: string, advice: string): Finding => ({ name, state: 'bad', found, advice })

/** Looks at everything, whatever of it is missing; sends nothing but to a server of its own on the loopback interface. */
export async function find(): Promise<Findings> {
  const isLinux = process.platform === 'linux'
  const transport = await ofTransport()
  const inventory = attempt(takeInventory)
  const findings = [
    ofPlatform(process.platform, process.arch),
    good('kernel', release()),
    ofNode(process.versions.node),
    ofUndici(undiciVersion()),
    ...ofKoffi(inventory),
    // Elsewhere the system call would be that of another system; and without koffi there is none.
    ...(isLinux && 'value' in inventory ? [ofDissolving(attempt(assertDissolves))] : []),
    ofTls(tlsReport()),
    ofOpenFiles(openFileLimit()),
    ofPorts(localPorts()),
    ...transport.findings,
  ]
  return { isRecycling: transport.isRecycling, findings }
}

type Attempt<T> = { value: T } | { failure: string }

function attempt<T>(action: () => T): Attempt<T> {
  try {
    return { value: action() }
  } catch (error) {
    return { failure: lineOf(error) }
  }
}

const ARCHITECTURES = ['x64', 'arm64']

export function ofPlatform(platform: string, arch: string): Finding {
  if (platform !== 'linux') {
    return bad('platform', `${platform} on ${arch}`, 'sockets are recycled on Linux only; the agent works without')
  }
  if (ARCHITECTURES.includes(arch)) return good('platform', `Linux on ${arch}`)
  return { name: 'platform', state: 'note', found: `Linux on ${arch}`, advice: 'tried on x64 and arm64 only' }
}

export function ofNode(version: string): Finding {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const isEnough = major > 20 || (major === 20 && (minor > 18 || (minor === 18 && patch >= 1)))
  return isEnough ? good('Node.js', version) : bad('Node.js', version, 'use Node.js 20.18.1 or later')
}

export function ofUndici(version: string | null): Finding {
  if (version === null) return bad('undici', 'not found', 'npm install undici@7')
  if (/^[78]\./.test(version)) return good('undici', version)
  return bad('undici', version, 'the package works with undici 7 and 8: npm install undici@7')
}

export function ofKoffi(inventory: Attempt<Inventory>): Finding[] {
  if ('failure' in inventory) {
    return [
      bad(
        CALLER,
        inventory.failure,
        'npm install koffi, with its optional dependencies (not --omit=optional), on the system where it runs',
      ),
    ]
  }
  const { version, binary, missing } = inventory.value
  const koffi = good(CALLER, binary === null ? version : `${version}, ${binary}`)
  const count = `${SYMBOLS.length - missing.length} of ${SYMBOLS.length} are there`
  if (missing.length === 0) return [koffi, good('symbols', count)]
  return [
    koffi,
    bad('symbols', `${count}, not ${missing.join(', ')}`, 'use a Node.js that exports them: nodejs.org has it'),
  ]
}

export function ofDissolving(trial: Attempt<void>): Finding {
  if ('value' in trial) return good('dissolving', 'connect(2) with AF_UNSPEC works')
  const advice = 'a sandbox or a policy refuses it (gVisor does): run it elsewhere, or without recycling'
  return bad('dissolving', `not possible: ${trial.failure}`, advice)
}

export function ofTls(report: TlsReport): Finding {
  const found = tlsMaker(report)
  if (report.isNative) return good('TLS', found)
  const advice = `nothing has to be done: it works over recycled sockets, at a higher cost (${report.why})`
  return { name: 'TLS', state: 'note', found, advice }
}

/** An agent keeps up to 1024 idle sockets, and has others in use. */
const FEW_FILES = 4096

export function ofOpenFiles(limit: number | null): Finding {
  if (limit === null) return { name: 'open files', state: 'note', found: 'limit not known', advice: 'see ulimit -n' }
  const found = limit === Number.POSITIVE_INFINITY ? 'unlimited' : `at most ${limit}`
  const advice = 'bounds connections and idle sockets together; ulimit -n raises it, maxIdleSockets takes less of it'
  return { name: 'open files', state: limit < FEW_FILES ? 'note' : 'good', found, advice }
}

export function ofPorts(range: { first: number; last: number } | null): Finding {
  const name = 'local ports'
  if (range === null) return { name, state: 'note', found: 'not known', advice: 'see net.ipv4.ip_local_port_range' }
  const count = range.last - range.first + 1
  return {
    name,
    state: count < FEW_FILES ? 'note' : 'good',
    found: `${range.first} to ${range.last}`,
    advice: `${count} connections to one address and port at a time; net.ipv4.ip_local_port_range widens it`,
  }
}

async function ofTransport(): Promise<Findings> {
  try {
    const { RecyclingAgent } = await loadPackages()
    const choice = await chooseTransport(RecyclingAgent)
    const trial = await tryTransport(RecyclingAgent, choice).catch((error) => lineOf(error))
    return ofChoice(choice, trial)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return { isRecycling: false, findings: [bad('transport', 'none', error.message)] }
  }
}

/** @param trial what came of it, or why it failed */
export function ofChoice({ transport, why }: Choice, trial: Trial | string): Findings {
  if (transport === 'net') {
    const found = `'net': ordinary sockets, none is recycled (${why})`
    const advice = why?.startsWith('RECYCLING_AGENT_TRANSPORT')
      ? 'unset the variable'
      : 'see what is missing above; the agent works meanwhile, and saves less'
    return { isRecycling: false, findings: [bad('transport', found, advice)] }
  }
  const native = good('transport', "'native': sockets are recycled")
  if (typeof trial === 'string') {
    const advice = 'a server on 127.0.0.1 was to answer; give the URL of one that this host can reach'
    return { isRecycling: false, findings: [native, bad('trial', `failed: ${trial}`, advice)] }
  }
  const { requests, created, recycled } = trial
  const found = `${requests} requests on 127.0.0.1: sockets created ${created}, recycled ${recycled}`
  if (recycled > 0) return { isRecycling: true, findings: [native, good('trial', found)] }
  const advice = 'the kernel took no socket back: something between this process and it is in the way'
  return { isRecycling: false, findings: [native, bad('trial', found, advice)] }
}
