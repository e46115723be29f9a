/**
 * `npm run test:arm64`: programs of the tests and of the examples on an arm64 Node.js, under qemu. Uses the built package.
 *
 *     npm run test:arm64 -- [--required]
 *
 * Prints a line for each program, and below it what was wrong. Ends with 1 when a program has failed; where none can be
 * run it says why, and ends with 1 only if that is `--required`.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runnerImport } from 'vite'

const { values } = parseArgs({ options: { required: { type: 'boolean', default: false } } })
const { module } = await runnerImport(fileURLToPath(new URL('./arm64.ts', import.meta.url)))
process.exit((await module.tryArm64(values.required)) ? 0 : 1)
