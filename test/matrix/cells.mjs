/** Which Node.js versions meet which undici. */
import { createRequire } from 'node:module'

/** The maintained lines of Node.js that `engines` admits, oldest first. */
export const NODE_MAJORS = [20, 22, 24, 26]

/** Those of the range of the peer dependency. */
export const UNDICI_MAJORS = [7, 8]

const require = createRequire(import.meta.url)

/** What undici 8 asks for in its own `engines`. */
const OLDEST_NODE_OF_UNDICI_8 = [22, 19]

/**
 * @param {{ path: string, version: string }[]} nodes
 * @param {number[]} undiciMajors
 * @returns every pair; `whyNot` says why a pair cannot be tried, and is `null` where it can
 */
export function cellsOf(nodes, undiciMajors) {
  return nodes.flatMap((node) =>
    undiciMajors.map((major) => {
      const { version } = require(`${major === 7 ? 'undici' : 'undici-8'}/package.json`)
      return { node, undici: { major, version }, whyNot: whyNot(node.version, major) }
    }),
  )
}

function whyNot(nodeVersion, undiciMajor) {
  const [major, minor] = nodeVersion.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE_OF_UNDICI_8
  const isOldEnough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
  return undiciMajor < 8 || isOldEnough ? null : `undici 8 needs Node.js ${OLDEST_NODE_OF_UNDICI_8.join('.')}`
}
