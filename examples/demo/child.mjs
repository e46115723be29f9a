/*
 * Child processes that answer each order with one message, and end with their parent.
 */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const answerTimeoutMs = 5_000

/**
 * @typedef {object} Child
 * @property {(order: object) => Promise<any>} ask one order at a time
 * @property {() => Promise<void>} end resolves when the process is gone
 */

/**
 * @param {string} module relative to this directory
 * @param {number} patience how many times the usual time an answer may take
 * @returns {Child}
 */
export function startChild(module, patience) {
  const limitMs = patience * answerTimeoutMs
  const child = fork(fileURLToPath(new URL(module, import.meta.url)))
  const exited = new Promise((resolve) => child.once('exit', resolve))
  return {
    ask(order) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => settle(() => reject(new Error(`${module}: no answer`))), limitMs)
        /** @type {(code: number | null, signal: string | null) => void} */
        const onExit = (code, signal) => settle(() => reject(new Error(`${module} ended: ${signal ?? code}`)))
        /** @type {(answer: any) => void} */
        const onMessage = (answer) => {
          settle(() => (answer.error === undefined ? resolve(answer) : reject(new Error(`${module}: ${answer.error}`))))
        }
        /** @param {() => void} result */
        function settle(result) {
          clearTimeout(timer)
          child.off('exit', onExit).off('message', onMessage)
          result()
        }
        if (child.exitCode !== null || child.signalCode !== null) return onExit(child.exitCode, child.signalCode)
        child.once('exit', onExit).once('message', onMessage)
        child.send(order, (error) => error && settle(() => reject(error)))
      })
    },
    async end() {
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 2_000)
      await exited
      clearTimeout(timer)
    },
  }
}

/**
 * The child's side.
 *
 * @param {Record<string, (order: any) => object | Promise<object>>} answers by the name of the order
 */
export function answerParent(answers) {
  process.once('disconnect', () => process.exit())
  process.on('message', async (/** @type {any} */ message) => {
    try {
      process.send?.(await answers[message.order]?.(message))
    } catch (error) {
      process.send?.({ error: error instanceof Error ? error.message : String(error) })
    }
  })
}
