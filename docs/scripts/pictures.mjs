/*
 * `npm run docs:pictures`: writes the generated parts of docs/design.md and docs/benchmarks.md, and docs/pictures/.
 */

import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

const { module } = await runnerImport(fileURLToPath(new URL('./pictures.ts', import.meta.url)))
await module.writePictures()
