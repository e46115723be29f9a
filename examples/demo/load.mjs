/*
 * The load: a number of requests in flight on persistent connections, mostly small GETs, now and then a chunked page
 * of 64 KiB or an upload of 16 KiB that comes back. Stops at the first wrong answer.
 */

import { Readable } from 'node:stream'
import { Pool } from 'undici'
import { item, page, upload } from './bodies.mjs'

const uploadChunkSize = 4_096
/** A response that takes longer is an error. */
const timeoutMs = 5_000

/**
 * @typedef {object} Load
 * @property {number} requests answered so far
 * @property {number} seconds since the begin; stands still at the end
 * @property {Promise<void>} finished rejects with the first error
 */

/**
 * @param {string} origin
 * @param {number} seconds
 * @param {number} concurrency
 * @param {number} patience how many times the usual time a response may take
 * @returns {Load}
 */
export function runLoad(origin, seconds, concurrency, patience) {
  const limitMs = patience * timeoutMs
  const pool = new Pool(origin, { connections: concurrency, headersTimeout: limitMs, bodyTimeout: limitMs })
  const startMs = performance.now()
  const deadlineMs = startMs + seconds * 1000
  let endMs = 0
  let id = 0
  let requests = 0
  let isFailed = false

  const lane = async () => {
    while (!isFailed && performance.now() < deadlineMs) {
      await exchange(pool, id++)
      requests++
    }
  }

  const run = async () => {
    try {
      await Promise.all(Array.from({ length: concurrency }, lane))
      endMs = performance.now()
      await pool.close()
    } catch (error) {
      isFailed = true
      await pool.destroy()
      throw error
    }
  }

  return {
    get requests() {
      return requests
    },
    get seconds() {
      return ((endMs || performance.now()) - startMs) / 1000
    },
    finished: run(),
  }
}

/**
 * One request and its response, checked.
 *
 * @param {Pool} pool
 * @param {number} id
 */
async function exchange(pool, id) {
  const { method, path, body, expected } = exchangeNumber(id)
  try {
    const response = await pool.request({ method, path, body })
    const received = Buffer.from(await response.body.arrayBuffer())
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}, ${received.toString().trim()}`)
    if (!received.equals(expected)) {
      throw new Error(`a wrong body: ${describe(received)} instead of ${describe(expected)}`)
    }
  } catch (error) {
    throw new Error(`${method} ${path}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

/**
 * @param {number} id
 * @returns {{ method: 'GET' | 'POST', path: string, body: Readable | null, expected: Buffer }}
 */
function exchangeNumber(id) {
  if (id % 32 === 7) return { method: 'GET', path: `/pages/${id}`, body: null, expected: page(id) }
  if (id % 32 === 23) {
    const expected = upload(id)
    return { method: 'POST', path: `/echo/${id}`, body: Readable.from(chunksOf(expected)), expected }
  }
  return { method: 'GET', path: `/items/${id}`, body: null, expected: item(id) }
}

/** @param {Buffer} bytes */
function describe(bytes) {
  return `${bytes.length} bytes, ${JSON.stringify(bytes.toString('latin1', 0, 24))}`
}

/** @param {Buffer} bytes */
function* chunksOf(bytes) {
  for (let start = 0; start < bytes.length; start += uploadChunkSize) {
    yield bytes.subarray(start, start + uploadChunkSize)
  }
}
