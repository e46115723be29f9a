/**
 * Network namespaces of the tests' own (network_namespaces(7)), where links are cut, ports are few and routes lead
 * nowhere without a consequence for anybody else. Root's alone.
 *
 * Their names hold the process id: what a process left behind that was killed, the next one removes.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { foreign } from '../../src/sys/native.js'

const PREFIX = 'recycling-agent-'
const CLONE_NEWNET = 0x40000000

function command(name: string, ...parameters: string[]): string {
  const { error, status, stdout, stderr } = spawnSync(name, parameters, { encoding: 'utf8', timeout: 10_000 })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${name} ${parameters.join(' ')}: ${stderr.trim()}`)
  return stdout
}

/** The namespace that this thread is in; `null`: the one in which it was born. */
let current: Namespace | null = null
const home = process.platform === 'linux' ? openSync('/proc/thread-self/ns/net', 'r') : -1

function setNamespace(namespace: Namespace | null): void {
  const setns = foreign().process.func('int setns(int fd, int type)')
  const fd = namespace === null ? home : openSync(`/run/netns/${namespace.name}`, 'r')
  const result: number = setns(fd, CLONE_NEWNET)
  if (namespace !== null) closeSync(fd)
  if (result !== 0) throw new Error(`setns failed with ${foreign().koffi.errno()}`)
  current = namespace
}

let count = 0
const existing = new Set<Namespace>()
process.once('exit', deleteNamespaces)

/** For afterAll. */
export function deleteNamespaces(): void {
  for (const namespace of existing) namespace.delete()
}

/** A namespace in which the loopback interface is up. */
export class Namespace {
  readonly name = `${PREFIX}${process.pid}-${count++}`
  /** Runs a program inside. */
  readonly under = ['ip', 'netns', 'exec', this.name]

  constructor() {
    command('ip', 'netns', 'add', this.name)
    existing.add(this)
    this.ip('link set lo up')
  }

  /** ip(8), inside. @param words separated by blanks */
  ip(words: string): string {
    return command('ip', '-n', this.name, ...words.split(' '))
  }

  /** tc(8), inside. @param words separated by blanks */
  tc(words: string): string {
    return command('tc', '-n', this.name, ...words.split(' '))
  }

  /** @param name below net, such as `ipv4/tcp_syn_retries` */
  async sysctl(name: string, value: string | number): Promise<void> {
    await this.enter(() => writeFileSync(`/proc/sys/net/${name}`, `${value}`))
  }

  /**
   * Sockets that this thread opens until `run` is over belong to the namespace, and stay there. What other threads do,
   * the resolver above all, happens where they are.
   */
  async enter<T>(run: () => T): Promise<Awaited<T>> {
    const before = current
    setNamespace(this)
    try {
      return await run()
    } finally {
      setNamespace(before)
    }
  }

  delete(): void {
    if (!existing.delete(this)) return
    command('ip', 'netns', 'delete', this.name)
  }
}

/** Two namespaces and a cable between them: veth(4). */
export class Link {
  readonly client = new Namespace()
  readonly server = new Namespace()
  readonly clientAddress = '10.77.0.1'
  readonly serverAddress = '10.77.0.2'

  constructor() {
    this.client.ip(`link add eth0 type veth peer name eth0 netns ${this.server.name}`)
    for (const [end, address] of [
      [this.client, this.clientAddress],
      [this.server, this.serverAddress],
    ] as const) {
      end.ip(`address add ${address}/24 dev eth0`)
      end.ip('link set eth0 up')
    }
    // Known for good: nobody has to ask who it is, or finds out in this way that it is not there (arp(7)).
    const [, hardwareAddress] = /link\/ether (\S+)/.exec(this.server.ip('link show eth0'))!
    this.client.ip(`neigh add ${this.serverAddress} lladdr ${hardwareAddress} dev eth0 nud permanent`)
  }

  /** What is sent from now on arrives nowhere, and nobody is told. */
  cut(): void {
    this.server.ip('link set eth0 down')
  }

  /** Resolves when both ends have noticed, which takes up to a second. */
  async mend(): Promise<void> {
    this.server.ip('link set eth0 up')
    while ([this.client, this.server].some((end) => !end.ip('link show eth0').includes('state UP'))) await after(10)
  }
}

/** Why there are no namespaces here, or `null`. */
export const whyNoNamespaces: string | null = findReason()

function findReason(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are of Linux'
  if (process.getuid?.() !== 0) return 'network namespaces take root'
  if (spawnSync('ip', ['-V']).error !== undefined) return 'ip (iproute2) is not installed'
  try {
    removeStale()
    new Namespace().delete()
    return null
  } catch (error) {
    return `no network namespace can be made: ${(error as Error).message}`
  }
}

function removeStale(): void {
  for (const [name, pid] of command('ip', 'netns', 'list').matchAll(new RegExp(`^${PREFIX}(\\d+)-\\d+`, 'gm'))) {
    if (isAlive(Number(pid))) continue
    // Somebody else may be about to remove it, too.
    spawnSync('ip', ['netns', 'delete', name])
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
