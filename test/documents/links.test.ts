/** The documents say what is there: every test, every file and every heading that they name exists. */
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { documents, fragmentsOf, linksOf, proseOf, read, root } from '../support/markdown.js'

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
    const paths = linksOf(document).map((link) => link.replace(/#.*/, ''))
    expect(paths.filter((path) => !existsSync(join(root, dirname(document), path)))).toEqual([])
  })

  it('links to headings that are there', () => {
    const missing = linksOf(document).filter((link) => {
      const [path, fragment] = link.split('#')
      if (fragment === undefined) return false
      const target = path === '' ? document : normalize(join(dirname(document), path!))
      return !fragmentsOf(target).includes(fragment)
    })
    expect(missing).toEqual([])
  })

  it('names files that are there', () => {
    const paths = [...proseOf(document).matchAll(/`((?:src|test|bench|docs|examples|build|\.ci)\/[\w./-]*)`/g)]
    expect(paths.map(([, path]) => path!).filter((path) => !existsSync(join(root, path)))).toEqual([])
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
