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
 */

const client = 'recycling'

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
  { load: 'download', client, than: 'undici-pool', measure: 'rate', factor: 1 },
  { load: 'upload', client, than: 'undici-pool', measure: 'rate', factor: 1 },
  { load: 'upload-stream', client, than: 'undici-pool', measure: 'rate', factor: 1 },
]
