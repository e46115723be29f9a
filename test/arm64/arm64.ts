/** What is tried on arm64: recycling over http and https, workers, ends of processes, WebSocket, the command, the demo. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Machine, type Result, whyNoMachine } from './machine.js'

interface Trial {
  title: string
  /** A program of the tests, which is bundled from the sources; else one of the built package's or of the examples'. */
  entry?: string
  file?: string
  args: (upstreams: Upstreams) => string[]
  /** @returns what is wrong, or `null` */
  judge: (result: Result) => string | null
}

/** Origins of servers on this kernel, in this process. */
interface Upstreams {
  /** Ends each connection with its first response. */
  closing: string
  keeping: string
}

const REQUESTS = 40

/** The fields of the last line, which is JSON, that are not as expected. */
const json =
  (expected: Record<string, unknown>) =>
  ({ stdout }: Result): string | null => {
    const found = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>
    const wrong = Object.entries(expected).filter(([name, value]) => found[name] !== value)
    return wrong.length === 0 ? null : wrong.map(([name]) => `${name} is ${JSON.stringify(found[name])}`).join(', ')
  }

const lines =
  (...expected: RegExp[]) =>
  ({ stdout }: Result): string | null => {
    const missing = expected.filter((pattern) => !pattern.test(stdout))
    return missing.length === 0 ? null : `no ${missing.join(', ')} in ${JSON.stringify(stdout)}`
  }

const wellEnded =
  (judge: Trial['judge']): Trial['judge'] =>
  (result) =>
    result.code === 0 && result.stderr === '' ? judge(result) : `code ${result.code}, ${result.stderr.trim()}`

const sequence = (mode: string, expected: Record<string, number>): Trial => ({
  title: `${REQUESTS} requests in mode ${mode}, each after the end of the connection before`,
  entry: 'test/promise/programs/sequence.ts',
  args: ({ closing }) => [closing, String(REQUESTS), mode],
  judge: wellEnded(json({ recycled: REQUESTS - 1, fresh: 1, closed: 0, refused: 0, aborted: 0, ...expected })),
})

const workers = (ending: string): Trial => ({
  title: `workers that end: ${ending}`,
  entry: 'test/promise/programs/workers.ts',
  args: () => [ending, '1'],
  judge: wellEnded(json({ ended: 1, gained: 0 })),
})

const TRIALS: readonly Trial[] = [
  {
    title: 'the command says that sockets are recycled',
    file: 'node_modules/recycling-agent/dist/cli.js',
    args: () => [],
    judge: wellEnded(
      lines(/^ok +platform +Linux on arm64$/m, /^ok +trial .* recycled [1-4]$/m, /^Sockets are recycled/m),
    ),
  },
  sequence('dissolve', { graceful: 0 }),
  sequence('graceful', { graceful: REQUESTS }),
  workers('natural'),
  workers('load'),
  {
    title: 'a process that exits with requests under way',
    entry: 'test/promise/programs/ends.ts',
    args: ({ keeping }) => ['exit', keeping],
    judge: ({ code, stderr }) => (code === 3 && stderr === '' ? null : `code ${code}, ${stderr.trim()}`),
  },
  {
    title: 'https, with sessions resumed',
    file: 'examples/https.mjs',
    args: () => [],
    judge: wellEnded(lines(/^handshakes: 1 full, 9 resumed$/m, /^sockets: \d created, [5-9] recycled$/m)),
  },
  {
    title: 'WebSocket',
    file: 'examples/websocket.mjs',
    args: () => [],
    judge: wellEnded(lines(/^text: hello$/m, /^binary: 1000000 bytes$/m, /^closed: 1000 done, clean$/m)),
  },
  {
    title: 'the demo, for two seconds: a reverse proxy under load',
    file: 'examples/demo.mjs',
    args: () => ['--seconds=2', '--concurrency=8', '--patience=3', 'recycling-agent'],
    judge: wellEnded(lines(/^sockets recycled +[1-9]/m, /Every response was checked: all were right\./)),
  },
]

async function startServer(connection: 'close' | 'keep-alive'): Promise<{ server: Server; origin: string }> {
  const server = createServer((request, response) => {
    // Some programs end while they wait.
    if (request.url === '/silent') return
    response.writeHead(200, { connection }).end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function judged({ judge }: Trial, result: Result): string | null {
  try {
    return judge(result)
  } catch (error) {
    return `${error}: ${JSON.stringify(result)}`
  }
}

/** @param isRequired it is wrong when nothing can be tried. @returns whether all is well */
export async function tryArm64(isRequired: boolean): Promise<boolean> {
  const why = whyNoMachine()
  if (why !== null) {
    console.log(`arm64: not tried: ${why}`)
    return !isRequired || process.arch === 'arm64'
  }
  const machine = await Machine.create()
  const [closing, keeping] = await Promise.all([startServer('close'), startServer('keep-alive')])
  const upstreams = { closing: closing.origin, keeping: keeping.origin }
  let good = 0
  for (const trial of TRIALS) {
    const start = performance.now()
    const file = trial.entry === undefined ? trial.file! : await machine.bundle(trial.entry)
    const fault = judged(trial, await machine.run(file, trial.args(upstreams)))
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(`${fault === null ? 'ok    ' : 'failed'} ${trial.title}, ${seconds} s`)
    if (fault === null) good++
    else console.log(`  ${fault}`)
  }
  for (const { server } of [closing, keeping]) {
    server.closeAllConnections()
    server.close()
  }
  console.log(`arm64: ${good} of ${TRIALS.length} are good`)
  return good === TRIALS.length
}
