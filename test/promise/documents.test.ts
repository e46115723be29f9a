/** The documents say what is there: every test and every file that they name exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const documents = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** Rows of tables whose last column is headed `test`. */
function rowsWithTests(text: string): string[] {
  const rows: string[] = []
  let isTested = false
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) isTested = false
    else if (/\| test\s*\|$/.test(line)) isTested = true
    else if (isTested && !/^\|[ |-]+$/.test(line)) rows.push(line)
  }
  return rows
}

/** `path`, or `path`: words from the name of a test in it. */
const testsOf = (row: string): [path: string, words: string][] =>
  [...row.matchAll(/`(test\/[^`]+)`(?:: ([^;|]+))?/g)].map(([, path, words = '']) => [path!, words.trim()])

describe.each(documents)('%s', (document) => {
  const text = read(document)

  it('links to files that are there', () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link]) => link!)
    expect(links.filter((link) => !existsSync(join(root, dirname(document), link)))).toEqual([])
  })

  it('names in each row of a table with tests one that is there', () => {
    const wrong = rowsWithTests(text).flatMap((row) => {
      const tests = testsOf(row)
      if (tests.length === 0) return [`no test: ${row}`]
      return tests
        .filter(([path, words]) => !existsSync(join(root, path)) || !read(path).includes(words))
        .map(([path, words]) => `${path}: ${words}`)
    })
    expect(wrong).toEqual([])
  })
})

it('the table of compatibility has rows', () => {
  expect(rowsWithTests(read('docs/compatibility.md')).length).toBeGreaterThan(40)
})
