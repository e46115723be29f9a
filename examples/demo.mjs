/*
 * `npm run demo`: a reverse proxy in front of an upstream that closes each connection, under load, first with
 * RecyclingAgent and then with undici's own Agent. Every response is checked. Ends by itself, with a table.
 *
 *   load (this process)  -- keep-alive -->  demo/proxy.mjs  -- a connection per request -->  demo/upstream.mjs
 *
 * The part to copy is demo/forward.mjs.
 */

import { parseArgs } from 'node:util'
import { startChild } from './demo/child.mjs'
import { dispatchers } from './demo/dispatchers.mjs'
import { createLive } from './demo/live.mjs'
import { runLoad } from './demo/load.mjs'
import { summary } from './demo/summary.mjs'
import { countTimeWait } from './demo/time-wait.mjs'

/** The demo must end whatever happens. */
const watchdogMs = 19_000

const usage = `Usage: npm run demo -- [options] [dispatcher...]

  dispatcher        ${Object.keys(dispatchers).join(', ')}
                    (recycling-agent undici-agent)
  --seconds=S       length of the load on each (4)
  --concurrency=N   requests in flight (32)
  --patience=N      on a slow machine: how many times the usual time anything may take (1)
  --help
`

/**
 * @typedef {object} Sample what is known of one arm at some moment
 * @property {number} seconds since the load began
 * @property {number} requests answered, each with the right body
 * @property {number} cpuSeconds user and system time of the proxy's process
 * @property {number} created sockets that the proxy created for the upstream
 * @property {number} recycled connections that it made on a socket it had already
 * @property {import('./demo/time-wait.mjs').TimeWait | null} timeWait
 */

/**
 * Runs the load through one dispatcher, with processes of its own.
 *
 * @param {string} dispatcher
 * @param {{ seconds: number, concurrency: number, patience: number }} options
 * @returns {Promise<Sample>} the state right after the last response
 */
async function runArm(dispatcher, { seconds, concurrency, patience }) {
  const upstream = startChild('upstream.mjs', patience)
  const proxy = startChild('proxy.mjs', patience)
  const live = createLive(dispatcher, seconds)
  try {
    const { port } = await upstream.ask({ order: 'listen' })
    const { origin } = await proxy.ask({ order: 'listen', dispatcher, upstream: `http://127.0.0.1:${port}` })
    const before = await proxy.ask({ order: 'stats' })
    const load = runLoad(origin, seconds, concurrency, patience)

    const sample = async () => {
      const timeWait = await countTimeWait(port)
      const { cpuSeconds, created, recycled } = await proxy.ask({ order: 'stats' })
      const { requests } = load
      return {
        seconds: load.seconds,
        requests,
        cpuSeconds: cpuSeconds - before.cpuSeconds,
        created,
        recycled,
        timeWait,
      }
    }

    await live.follow(sample, load.finished)
    const last = await sample()
    const { errors } = await upstream.ask({ order: 'stats' })
    if (errors.length > 0) throw new Error(`the upstream saw ${errors.length} errors, first: ${errors[0]}`)
    return last
  } finally {
    live.clear()
    await Promise.all([upstream.end(), proxy.end()])
  }
}

function parseOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '4' },
      concurrency: { type: 'string', default: '32' },
      patience: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  })
  const unknown = positionals.find((name) => !Object.hasOwn(dispatchers, name))
  if (unknown !== undefined) throw new Error(`no dispatcher '${unknown}'\n\n${usage}`)
  const seconds = Number(values.seconds)
  const concurrency = Number(values.concurrency)
  const patience = Number(values.patience)
  if (!(seconds > 0)) throw new Error('--seconds takes a positive number')
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new Error('--concurrency takes a positive integer')
  if (!(patience > 0)) throw new Error('--patience takes a positive number')
  const names = positionals.length > 0 ? positionals : ['recycling-agent', 'undici-agent']
  return { help: values.help, names, seconds, concurrency, patience }
}

async function demo() {
  const { help, names, ...options } = parseOptions()
  if (help) return console.log(usage)
  const { seconds, concurrency, patience } = options
  const limitMs = Math.max(patience * watchdogMs, names.length * seconds * 2000)
  setTimeout(() => fail(new Error(`not finished after ${limitMs / 1000} s`)), limitMs).unref()
  console.log(`${concurrency} concurrent requests for ${seconds} s through a reverse proxy; the upstream closes each`)
  console.log('connection after its response.\n')
  const results = []
  for (const name of names) results.push({ name, sample: await runArm(name, options) })
  console.log(`\n${summary(results)}\n\nEvery response was checked: all were right.`)
}

/** @param {unknown} error */
function fail(error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : error}`)
  process.exit(1)
}

demo().catch(fail)
