/*
 * What is asked of every client: each load is one kind of request against one kind of upstream.
 *
 * Small loads answer "what does a request cost", bulk loads "what does a byte cost", and loads over a link with a delay
 * "how long does a request take".
 */

import { Readable } from 'node:stream'

/** The body of a small response, 12 bytes. */
export const helloBody = 'hello world\n'

/** The size of a bulk body: 100 MB. */
export const bulkBytes = 100_000_000

/** The size of the chunks of a streamed request body: what `fs.createReadStream` reads at once. */
const chunkBytes = 65_536

/**
 * @typedef {'closing' | 'secure' | 'keepalive' | 'secure-keepalive'} DelayedName upstreams that have a link with a delay
 *
 * @typedef {DelayedName | `delayed-${DelayedName}` | 'named' | 'origins' | 'secure12' | 'sink' | 'secure-sink'} UpstreamName
 *
 * @typedef {object} Load
 * @property {string} name as in `--loads`
 * @property {string} title
 * @property {UpstreamName} upstream
 * @property {string} path the request target
 * @property {'GET' | 'POST'} method
 * @property {number} concurrency requests in flight at any time
 * @property {number} responseBytes the expected length of the response body
 * @property {boolean} bulk whether bytes per second matter rather than requests per second
 * @property {boolean=} isOnRequest whether it is left out unless `--loads` names it, since it takes long or is special
 * @property {boolean=} isPinned whether clients and server share one core
 * @property {number=} originCount how many origins are asked in turn; one if left out
 * @property {(() => Buffer | Readable)=} createBody makes the request body, once per request
 */

const connections = {
  closing: 'connection per request',
  secure: 'https connection per request, sessions resumed',
  secure12: 'https connection per request, TLS 1.2, sessions resumed',
  keepalive: 'keep-alive',
  'secure-keepalive': 'https keep-alive',
}

/** @param {UpstreamName} upstream */
export const isSecure = (upstream) => upstream.includes('secure')

/** Whether there is a link with a delay in between: then it is measured how long requests take. @param {Load} load */
export const isDelayed = ({ upstream }) => upstream.startsWith('delayed-')

/** Whether the upstream keeps connections open. @param {UpstreamName} upstream */
export const isKeptAlive = (upstream) => upstream.endsWith('keepalive') || upstream.endsWith('sink')

/**
 * @param {keyof typeof connections} upstream
 * @param {number} concurrency
 * @returns {Load}
 */
function small(upstream, concurrency) {
  const connection = connections[upstream]
  return {
    name: `${upstream}-${concurrency}`,
    title: `${connection}, ${concurrency} concurrent, ${helloBody.length}-byte body`,
    upstream,
    path: '/',
    method: 'GET',
    concurrency,
    responseBytes: helloBody.length,
    bulk: false,
  }
}

/** As many at a time as a link of this delay is used by in practice. */
const delayedConcurrency = 8

/**
 * @param {DelayedName} upstream
 * @returns {Load}
 */
function delayed(upstream) {
  return {
    ...small(upstream, delayedConcurrency),
    name: `delayed-${upstream}`,
    title: `${connections[upstream]}, a round trip of 20 ms, ${delayedConcurrency} concurrent`,
    upstream: `delayed-${upstream}`,
    isOnRequest: true,
  }
}

/**
 * @param {Load} load
 * @returns {Load}
 */
function pinned(load) {
  const title = load.title.replace(', ', ', client and server on one core, ')
  return { ...load, name: `${load.name}-pinned`, title, isPinned: true }
}

const originCount = 5_000

/** @type {Buffer | undefined} */
let bulkBuffer

function createBulkBuffer() {
  bulkBuffer ??= Buffer.alloc(bulkBytes, 'x')
  return bulkBuffer
}

function createBulkStream() {
  const chunk = Buffer.alloc(chunkBytes, 'x')
  let left = bulkBytes
  return new Readable({
    read() {
      const length = Math.min(left, chunkBytes)
      left -= length
      this.push(length === 0 ? null : chunk.subarray(0, length))
    },
  })
}

/** @type {Load} */
const upload = {
  name: 'upload',
  title: '100 MB upload from a Buffer, known length',
  upstream: 'sink',
  path: '/',
  method: 'POST',
  concurrency: 1,
  responseBytes: helloBody.length,
  bulk: true,
  createBody: createBulkBuffer,
}

/** @type {Load} */
const download = {
  name: 'download',
  title: '100 MB download',
  upstream: 'keepalive',
  path: '/bulk',
  method: 'GET',
  concurrency: 1,
  responseBytes: bulkBytes,
  bulk: true,
}

/** @type {readonly Load[]} */
export const loads = [
  small('closing', 64),
  small('closing', 1),
  {
    ...small('closing', 64),
    name: 'closing-name',
    title: `connection per request to a host by name, 64 concurrent, ${helloBody.length}-byte body`,
    upstream: 'named',
  },
  small('secure', 64),
  small('secure12', 64),
  small('keepalive', 64),
  small('keepalive', 1),
  small('secure-keepalive', 64),
  small('secure-keepalive', 1),
  download,
  { ...download, name: 'secure-download', title: '100 MB download over https', upstream: 'secure-keepalive' },
  upload,
  { ...upload, name: 'upload-stream', title: '100 MB upload from a stream, chunked', createBody: createBulkStream },
  { ...upload, name: 'secure-upload', title: '100 MB upload from a Buffer over https', upstream: 'secure-sink' },
  pinned(small('keepalive', 1)),
  pinned(small('secure-keepalive', 1)),
  { ...small('closing', 1000), isOnRequest: true },
  { ...small('closing', 5000), isOnRequest: true },
  { ...small('keepalive', 1000), isOnRequest: true },
  { ...small('keepalive', 5000), isOnRequest: true },
  {
    ...small('closing', 64),
    name: 'origins-5000',
    title: `connection per request, 5,000 origins in turn, 64 concurrent, ${helloBody.length}-byte body`,
    upstream: 'origins',
    originCount,
    isOnRequest: true,
  },
  delayed('closing'),
  delayed('keepalive'),
  delayed('secure'),
  delayed('secure-keepalive'),
]

/**
 * @param {Load} load
 * @param {string} origin of its upstream
 * @returns {() => string} gives the origin of the next request
 */
export function originsInTurn({ originCount = 1 }, origin) {
  if (originCount === 1) return () => origin
  // All of 127.0.0.0/8 is this machine.
  const origins = Array.from({ length: originCount }, (_, i) =>
    origin.replace('127.0.0.1', `127.1.${i >> 8}.${i & 255}`),
  )
  let turn = 0
  return () => origins[turn++ % originCount] ?? origin
}

/**
 * @param {string} name
 * @returns {Load}
 */
export function loadNamed(name) {
  const load = loads.find((candidate) => candidate.name === name)
  if (load === undefined) throw new Error(`no load '${name}'; there are ${loads.map(({ name }) => name).join(', ')}`)
  return load
}
