/** What an upstream is like, and what it costs to talk to it with one client and the other. */
import type { Load } from './arguments.js'
import { createClients, type Sockets } from './clients.js'
import { describeFailure } from './exchange.js'
import { loadPackages, undiciVersion } from './packages.js'
import { type Recommendation, recommend } from './recommendation.js'
import { type Both, type RoundsOptions, runRounds } from './rounds.js'
import { median, percentile } from './statistics.js'
import { type TimeWait, TimeWaitTable } from './time-wait.js'
import { type TlsReport, tlsReport } from './tls-report.js'
import { type Choice, chooseTransport } from './transport.js'
import { type Look, lookAt } from './upstream.js'

/** Of one client. Times of rounds that warm up are left out. */
export interface ClientSummary extends Sockets {
  title: string
  requests: number
  /** Requests whose connection ended under them. */
  lost: number
  cpuMicrosecondsPerRequest: number
  latencyMs: { median: number; p99: number }
  /** Connections left in TIME_WAIT on this host, at either end; `null` where it is not known. */
  timeWait: TimeWait | null
}

export interface Measurement {
  upstream: { url: string } & Omit<Look, 'requests'>
  /** How the agent's connections are made here. */
  transport: Choice
  /** Of connections over TLS; `null` where there are none. */
  tls: TlsReport | null
  versions: { node: string; undici: string | null }
  load: { method: string; requests: number; concurrency: number }
  undici: ClientSummary
  recycling: ClientSummary
  recommendation: Recommendation
}

/** @throws Failure when it cannot be measured */
export async function measure(load: Load, options: RoundsOptions = {}): Promise<Measurement> {
  const packages = await loadPackages()
  const { requests: _, ...look } = await lookAt(packages.undici, load)
  const transport = await chooseTransport(packages.RecyclingAgent)
  const table = await TimeWaitTable.of(load.url).catch((error) => {
    throw describeFailure(error, load)
  })
  const clients = createClients(packages, load, transport)
  try {
    const both = await runRounds(clients, load, table, options)
    const summary = (name: keyof typeof clients): ClientSummary => ({
      title: clients[name].title,
      ...clients[name].sockets(),
      ...summaryOf(both[name]),
    })
    const [undici, recycling] = [summary('undici'), summary('recycling')]
    const { url, method, requests, concurrency } = load
    return {
      upstream: { url: url.href, ...look },
      transport,
      tls: url.protocol === 'https:' ? tlsReport() : null,
      versions: { node: process.versions.node, undici: undiciVersion() },
      load: { method, requests, concurrency },
      undici,
      recycling,
      recommendation: recommend({ look, transport, undici, recycling, cpu: cpuOf(both) }),
    }
  } finally {
    await Promise.all([clients.undici.dispatcher.destroy(), clients.recycling.dispatcher.destroy()])
  }
}

const cpuOf = ({ undici, recycling }: Both): { undici: number[]; recycling: number[] } => ({
  undici: undici.cpuMicroseconds,
  recycling: recycling.cpuMicroseconds,
})

function summaryOf({ requests, lost, cpuMicroseconds, latencyMs, timeWait }: Both['undici']) {
  return {
    requests,
    lost,
    cpuMicrosecondsPerRequest: median(cpuMicroseconds),
    latencyMs: { median: median(latencyMs), p99: percentile(latencyMs, 0.99) },
    timeWait,
  }
}
