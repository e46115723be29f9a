/*
 * What clients are called where each stands on its own, in charts and documents.
 */

import { clientNamed } from '../clients/index.mjs'

/** Of those whose title completes the one above it. @type {Readonly<Record<string, string>>} */
const labels = {
  recycling: 'RecyclingAgent',
  'recycling-address': 'RecyclingAgent, by address',
  'recycling-graceful': "RecyclingAgent, recycle: 'graceful'",
  'recycling-off': "RecyclingAgent, recycle: 'off'",
  'recycling-net': "RecyclingAgent, transport: 'net'",
  'recycling-spare': 'RecyclingAgent, spareConnections: 8',
  'recycling-spare-32': 'RecyclingAgent, spareConnections: 32',
  'recycling-node-tls': "RecyclingAgent, tlsTransport: 'node'",
  'recycling-legacy': 'RecyclingAgent, legacy handler',
  'undici-agent': 'undici Agent',
  'undici-agent-context': 'undici Agent, a secureContext made once',
  'undici-agent-sized': 'undici Agent, as many connections as requests',
  'undici-agent-legacy': 'undici Agent, legacy handler',
  'undici-pool': 'undici Pool',
}

/** @param {string} name of a client */
export const labelOf = (name) => labels[name] ?? clientNamed(name).title

/** @param {string} name of a client: whether it is ours, or undici's functions on ours */
export const isOurs = (name) => name.startsWith('recycling')
