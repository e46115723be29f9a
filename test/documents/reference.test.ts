/** docs/api/ is what typedoc makes of src/, without a warning: every public name says what it is. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** All files below a directory, by their paths in it. */
function contents(directory: string): Record<string, string> {
  const paths = (readdirSync(directory, { recursive: true }) as string[]).filter((path) => path.endsWith('.md')).sort()
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(directory, path), 'utf8')]))
}

it('docs/api/ is up to date (npm run docs:api)', { timeout: 120_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-api-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  // Warnings are errors: typedoc.json.
  execFileSync(join(root, 'node_modules/.bin/typedoc'), ['--out', directory], { cwd: root, stdio: 'pipe' })
  expect(contents(directory)).toEqual(contents(join(root, 'docs/api')))
})
