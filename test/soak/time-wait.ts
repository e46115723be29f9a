/** How much TIME_WAIT requests to a closing upstream leave, in a network namespace of its own, so that it is theirs alone. */
import type { SocketPoolStats } from '../../src/socket-pool/socket-pool.js'
import { Program } from '../support/child.js'
import { Namespace } from '../support/namespaces.js'

export type Client = 'dissolve' | 'graceful' | 'off' | 'undici'

/** Sockets in TIME_WAIT, by the end that keeps them. */
export interface TimeWaits {
  client: number
  upstream: number
}

export interface TimeWaitCount {
  answered: number
  /** By code. */
  failures: Record<string, number>
  /** When the last connection was over. */
  left: TimeWaits
  /** The most that were seen at a time; looked for after every 1,000 requests. */
  most: TimeWaits
  /** `null` with undici. */
  sockets: SocketPoolStats | null
  complaints: string[]
}

/** What connections there may be at a time, those in TIME_WAIT included. */
const LOCAL_PORTS = 1000

/** @param seconds after which the count is given up */
export async function countTimeWait(requests: number, client: Client, seconds: number): Promise<TimeWaitCount> {
  const host = new Namespace()
  const program = await Program.from(new URL('./programs/time-wait.ts', import.meta.url))
  try {
    await host.sysctl('ipv4/ip_local_port_range', `40000 ${40_000 + LOCAL_PORTS - 1}`)
    await host.sysctl('ipv4/tcp_tw_reuse', 0)
    const { code, signal, stdout, stderr } = await program.run({
      args: [`${requests}`, client],
      under: host.under,
      timeoutMs: seconds * 1000,
    })
    if (code !== 0) throw new Error(`ended with ${code ?? signal}: ${stderr}`)
    return JSON.parse(stdout)
  } finally {
    program.delete()
    host.delete()
  }
}
