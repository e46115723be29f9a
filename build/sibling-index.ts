/** For the command: it is built apart from the package, and finds it in the file beside its own when it runs. */
import type { Plugin } from 'esbuild'

/** Leaves `../index.js` out of a bundle, which imports `./index.js` instead. */
export const siblingIndexForEsbuild = (): Plugin => ({
  name: 'sibling-index',
  setup(build) {
    build.onResolve({ filter: /^\.\.\/index\.js$/ }, () => ({ path: './index.js', external: true }))
  },
})
