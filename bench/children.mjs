/*
 * Child processes that answer each order with one message.
 */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How long an answer may take; a client that hangs must not stop the benchmark. */
const answerTimeoutMs = 60_000

/**
 * @typedef {object} Child
 * @property {number | undefined} pid
 * @property {(order?: object) => Promise<any>} ask resolves with the child's next message
 * @property {() => Promise<void>} end resolves when the process is gone
 */

/**
 * @param {string} module relative to this directory
 * @param {string[]=} args
 * @param {string=} execPath the Node.js binary that runs it
 * @returns {Child}
 */
export function startChild(module, args = [], execPath = process.execPath) {
  const path = fileURLToPath(new URL(module, import.meta.url))
  const child = fork(path, args, { execPath })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  return {
    pid: child.pid,
    ask: (order) => nextMessage(child, order),
    async end() {
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await exited
      clearTimeout(timer)
    },
  }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {object | undefined} order
 */
function nextMessage(child, order) {
  return new Promise((resolve, reject) => {
    /** @type {(code: number | null, signal: string | null) => void} */
    const onExit = (code, signal) => settle(() => reject(new Error(`its process ended: ${signal ?? code}`)))
    /** @type {(message: unknown) => void} */
    const onMessage = (message) => settle(() => resolve(message))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      settle(() => reject(new Error('no answer')))
    }, answerTimeoutMs)

    /** @param {() => void} result */
    function settle(result) {
      clearTimeout(timer)
      child.off('exit', onExit).off('message', onMessage)
      result()
    }

    if (child.exitCode !== null || child.signalCode !== null) return onExit(child.exitCode, child.signalCode)
    child.once('exit', onExit).once('message', onMessage)
    if (order !== undefined) child.send(order, (error) => error && settle(() => reject(error)))
  })
}
