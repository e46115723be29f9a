/** The documents of the repository, and what is in them: blocks of code, headings, links. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../', import.meta.url))
export const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** All documents, by their paths in the repository. */
export const documents: string[] = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'examples'].flatMap((directory) =>
    (readdirSync(join(root, directory), { recursive: true }) as string[])
      .filter((path) => path.endsWith('.md'))
      .map((path) => `${directory}/${path}`),
  ),
].sort()

/**
 * A block of code. HTML comments right above it say how it is run, and are not seen by readers:
 *
 * - `<!-- before the block: ... -->` and `<!-- after the block: ... -->` hold code that goes before and after it;
 * - `<!-- not run: ... -->` says why it cannot be run.
 */
export interface Block {
  document: string
  /** Where the code begins, from 1. */
  line: number
  language: string
  code: string
  before: string
  after: string
  /** Why it is not run, or `null`. */
  notRun: string | null
}

const FENCE = /((?:<!--(?:(?!-->)[\s\S])*-->\n+)*)^```(\S*)\n([\s\S]*?)^```$/gm
const COMMENT = /<!-- (before the block|after the block|not run):\s([\s\S]*?)-->/g

export function blocksOf(document: string): Block[] {
  const text = read(document)
  return [...text.matchAll(FENCE)].map(({ 0: all, 1: comments = '', 2: language = '', 3: code = '', index }) => {
    const notes = Object.fromEntries([...comments.matchAll(COMMENT)].map(([, kind, note]) => [kind, note!.trim()]))
    const start = index + all.lastIndexOf('```', all.length - 4) // the opening fence
    return {
      document,
      line: text.slice(0, start).split('\n').length + 1,
      language,
      code,
      before: notes['before the block'] ?? '',
      after: notes['after the block'] ?? '',
      notRun: notes['not run'] ?? null,
    }
  })
}

/** A document without its blocks of code. */
export const proseOf = (document: string): string => read(document).replace(FENCE, '')

/** The fragments that links can name: those of headings, as GitHub makes them, and of anchors. */
export function fragmentsOf(document: string): string[] {
  const text = proseOf(document)
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
  return [...headings, ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!)]
}

/** Targets of links to other places of the repository: a path relative to the document, a fragment, or both. */
export const linksOf = (document: string): string[] =>
  [...proseOf(document).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(([, link]) => link!)
