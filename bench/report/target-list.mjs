/*
 * The targets: what the numbers have to be, always against another client of the same run.
 */

/**
 * @typedef {object} Target
 * @property {string} load
 * @property {string} client
 * @property {string} than
 * @property {'cpu' | 'rate'} measure CPU time per request, or requests per second (equal to bytes per second)
 * @property {number} factor the client is to be better by this factor: cheaper, or faster
 * @property {readonly number[]=} nodeMajors the Node.js versions that it is a target on; if left out, that of the main run
 */

const client = 'recycling'

const oldest = [20]
const newer = [22, 24, 26]

/** At most 1.5 times what a program in C takes. */
const withinOneAndAHalf = 0.67

/** @type {readonly Target[]} */
export const targets = [
  { load: 'closing-64', client, than: 'undici-agent', measure: 'cpu', factor: 5 },
  { load: 'closing-64', client, than: 'undici-pool', measure: 'cpu', factor: 3.3 },
  { load: 'closing-64', client, than: 'node-http', measure: 'cpu', factor: 2.3 },
  { load: 'closing-64', client, than: 'wrk', measure: 'rate', factor: 0.75 },
  // At most 1.15 times what it costs by address.
  { load: 'closing-name', client, than: 'recycling-address', measure: 'cpu', factor: 0.87 },
  { load: 'keepalive-64', client, than: 'undici-agent', measure: 'cpu', factor: 1.5 },
  { load: 'keepalive-1', client, than: 'undici-pool', measure: 'rate', factor: 1.2 },
  { load: 'closing-1', client, than: 'undici-pool', measure: 'rate', factor: 2.5 },
  { load: 'secure-64', client, than: 'undici-agent', measure: 'rate', factor: 1.35 },
  { load: 'secure-64', client, than: 'undici-agent', measure: 'cpu', factor: 5, nodeMajors: oldest },
  { load: 'secure-64', client, than: 'undici-agent', measure: 'cpu', factor: 3, nodeMajors: newer },
  { load: 'secure-64', client, than: 's-time', measure: 'cpu', factor: withinOneAndAHalf },
  { load: 'secure12-64', client, than: 'undici-agent', measure: 'cpu', factor: 7, nodeMajors: oldest },
  { load: 'secure12-64', client, than: 'undici-agent', measure: 'cpu', factor: 4, nodeMajors: newer },
  { load: 'secure12-64', client, than: 's-time', measure: 'cpu', factor: withinOneAndAHalf },
  { load: 'secure-keepalive-64', client, than: 'undici-agent', measure: 'cpu', factor: 1.9, nodeMajors: oldest },
  { load: 'secure-keepalive-64', client, than: 'undici-agent', measure: 'cpu', factor: 1.7, nodeMajors: newer },
  { load: 'keepalive-1-pinned', client, than: 'undici-pool', measure: 'cpu', factor: 1.35 },
  { load: 'keepalive-1-pinned', client, than: 'undici-pool', measure: 'rate', factor: 1.3 },
  { load: 'secure-keepalive-1-pinned', client, than: 'undici-agent', measure: 'cpu', factor: 1.2 },
  { load: 'download', client, than: 'undici-pool', measure: 'rate', factor: 1 },
  { load: 'upload', client, than: 'undici-pool', measure: 'rate', factor: 1 },
  { load: 'upload-stream', client, than: 'undici-pool', measure: 'rate', factor: 1 },
  { load: 'secure-download', client, than: 'undici-agent', measure: 'rate', factor: 1 },
  { load: 'secure-upload', client, than: 'undici-agent', measure: 'rate', factor: 1 },
]
