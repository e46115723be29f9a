/*
 * The progress bar, on stderr and only on a terminal.
 */

const width = 30

/**
 * @param {number} total
 * @param {import('node:tty').WriteStream | NodeJS.WriteStream} stream
 */
export function createProgress(total, stream = process.stderr) {
  let done = 0
  /** @param {string} text */
  const draw = (text) => {
    if (stream.isTTY) stream.write(`\r\x1b[K${text}`)
  }
  return {
    /** @param {string} label what is going on now */
    step(label) {
      const filled = Math.round((width * done) / total)
      draw(`[${'='.repeat(filled)}${' '.repeat(width - filled)}] ${done}/${total} ${label}`)
      done++
    },
    clear() {
      draw('')
    },
  }
}
