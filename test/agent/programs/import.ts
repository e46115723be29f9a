/** Imports the package, uses an agent for one call, then imports undici: what becomes of the global dispatcher. */
const SYMBOLS = [Symbol.for('undici.globalDispatcher.1'), Symbol.for('undici.globalDispatcher.2')]
const isSet = (): boolean[] => SYMBOLS.map((symbol) => symbol in globalThis)

const origin = process.argv[2]!
const before = isSet()
const { RecyclingAgent, RecyclingPool } = await import('../../../src/index.js')
const imported = isSet()
const agent = new RecyclingAgent()
const pool = new RecyclingPool(origin)
const { body } = await agent.request({ origin, path: '/', method: 'GET' })
const answers = [await body.text()]
answers.push(await (await pool.request({ path: '/', method: 'GET' })).body.text())
const used = isSet()
// With a length of the caller, which on Node.js 20 and 22 undici 7 and later refuse to the built-in fetch.
const response = await fetch(origin, { method: 'POST', body: 'hello', headers: { 'Content-Length': '5' } })
answers.push(await response.text())
const fetching = isSet()
const undici = await import('undici')
const { Dispatcher, errors, getGlobalDispatcher } = undici
let thrown: unknown
try {
  new RecyclingAgent({ maxOrigins: -1 })
} catch (error) {
  thrown = error
}
const names = ['request', 'stream', 'pipeline', 'upgrade', 'connect', 'compose'] as const
const isUndicis = {
  instances: [agent, pool].every((dispatcher) => dispatcher instanceof Dispatcher),
  errors: thrown instanceof errors.InvalidArgumentError,
  methods: names.every((name) => agent[name] === Dispatcher.prototype[name]),
  global: typeof getGlobalDispatcher().dispatch,
}
await Promise.all([agent.close(), pool.close()])
console.log(JSON.stringify({ before, imported, used, fetching, answers, isUndicis }))
