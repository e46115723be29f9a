/** A program that ends in one way, with requests in flight. The argument is a {@link BusyEnd} as JSON. */
import { writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { RecyclingAgent } from '../../../src/index.js'

export interface BusyEnd {
  kind: 'plain' | 'tls' | 'upload'
  ending: 'exit' | 'throw' | 'SIGTERM' | 'SIGINT' | 'handled'
  origin: string
  ca: string
}

const { kind, ending, origin, ca }: BusyEnd = JSON.parse(process.argv[2]!)
const agent = new RecyclingAgent({ connect: { ca } })
const get = async (path: string): Promise<void> => {
  const { body } = await agent.request({ origin, path, method: 'GET' })
  await body.text()
}

/** More than the kernel takes of an upload that nobody reads. */
async function* endless(): AsyncGenerator<Buffer> {
  for (;;) yield Buffer.alloc(65_536)
}

const failures: unknown[] = []
const fail = (error: NodeJS.ErrnoException): void => void failures.push(error.code)

async function load(): Promise<void> {
  for (;;) await get('/')
}

await get('/')
for (let i = 0; i < 4; i++) {
  get('/silent').catch(fail)
  load().catch(fail)
  if (kind === 'upload')
    agent.request({ origin, path: '/silent', method: 'POST', body: Readable.from(endless()) }).catch(fail)
}
await Promise.all([get('/'), get('/')])
process.once('exit', () => {
  if (failures.length > 0) writeSync(1, ` ${[...new Set(failures)]}`)
})
setTimeout(() => {
  // At once, whatever becomes of the process.
  writeSync(1, String(Date.now()))
  if (ending === 'exit') process.exit(3)
  if (ending === 'throw') throw new Error('the end')
  if (ending === 'handled') process.once('SIGTERM', () => void agent.destroy())
  process.kill(process.pid, ending === 'handled' ? 'SIGTERM' : ending)
}, 50)
