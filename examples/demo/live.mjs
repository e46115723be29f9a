/*
 * What is going on now: two lines that are redrawn on a terminal, else one line per second.
 */

import { setTimeout as delay } from 'node:timers/promises'

const barWidth = 20
const cursorUp = '\x1b[2A\r'
const eraseLine = '\x1b[K'
const eraseBelow = '\x1b[J'

/** @typedef {import('../demo.mjs').Sample} Sample */

/**
 * @param {string} title
 * @param {number} totalSeconds
 */
export function createLive(title, totalSeconds) {
  const stream = process.stdout
  const intervalMs = stream.isTTY ? 250 : 1000
  let isOver = false
  /** @type {Sample | undefined} */
  let last

  /** @param {Sample} sample */
  const draw = (sample) => {
    const lines = describe(title, totalSeconds, sample, last)
    if (stream.isTTY) {
      if (last !== undefined) stream.write(cursorUp)
      for (const line of lines) stream.write(`\r${eraseLine}${line}\n`)
    } else {
      stream.write(`${lines.join(' | ')}\n`)
    }
    last = sample
  }

  return {
    /**
     * Samples and draws until `finished` settles.
     *
     * @param {() => Promise<Sample>} sample
     * @param {Promise<void>} finished
     */
    async follow(sample, finished) {
      const over = finished.finally(() => {
        isOver = true
      })
      const drawing = (async () => {
        for (;;) {
          await Promise.race([delay(intervalMs), over])
          if (isOver) return
          const now = await sample()
          if (!isOver) draw(now)
        }
      })()
      await Promise.all([over, drawing])
    },
    clear() {
      if (stream.isTTY && last !== undefined) stream.write(cursorUp + eraseBelow)
    },
  }
}

/**
 * @param {string} title
 * @param {number} totalSeconds
 * @param {Sample} now
 * @param {Sample=} before
 */
function describe(title, totalSeconds, now, before = { ...now, seconds: 0, requests: 0 }) {
  const filled = Math.min(barWidth, Math.round((barWidth * now.seconds) / totalSeconds))
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`
  const rate = (now.requests - before.requests) / (now.seconds - before.seconds)
  const { upstream, proxy } = now.timeWait ?? { upstream: '?', proxy: '?' }
  return [
    `${title} ${bar} ${format(rate)} req/s`,
    `sockets: ${format(now.created)} created, ${format(now.recycled)} recycled; ` +
      `TIME_WAIT: ${format(proxy)} proxy, ${format(upstream)} upstream`,
  ]
}

/** @param {number | string} value */
export function format(value) {
  return typeof value === 'number' ? Math.round(value).toLocaleString('en-US') : value
}
