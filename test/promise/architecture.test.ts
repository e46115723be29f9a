/** The direction of imports, types included, and the size of files: what keeps the rooms of src/ apart. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { preProcessFile } from 'typescript'
import { describe, expect, it } from 'vitest'

const source = fileURLToPath(new URL('../../src/', import.meta.url))

/** From top to bottom. A file may import from its own layer and from those below it that its entry names. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  cli: ['index', 'socket-pool', 'tls', 'sys'],
  index: [
    'install',
    'agent',
    'dispatcher-core',
    'recycling-pool',
    'options',
    'pool',
    'tls',
    'transport',
    'socket-pool',
  ],
  install: ['agent', 'errors'],
  agent: ['dispatcher-base', 'dispatcher-core', 'options', 'pool', 'transport', 'socket-pool'],
  'recycling-pool': ['dispatcher-base', 'dispatcher-core', 'undici-members', 'options', 'pool', 'socket-pool'],
  'undici-members': ['pool', 'undici'],
  'dispatcher-base': ['dispatcher-core', 'options', 'errors', 'undici', 'sys'],
  'dispatcher-core': [
    'options',
    'pool',
    'request',
    'transport',
    'errors',
    'socket-pool',
    'sys',
    'announcements',
    'reactor',
  ],
  announcements: ['pool', 'errors', 'reactor'],
  options: ['pool', 'request', 'tls', 'transport', 'errors', 'socket-pool'],
  pool: ['structures', 'request', 'transport', 'diagnostics', 'errors', 'http1', 'reactor', 'socket-pool', 'sys'],
  request: ['transport', 'diagnostics', 'errors', 'http1', 'reactor'],
  transport: ['structures', 'errors', 'undici', 'reactor', 'socket-pool', 'tls', 'sys'],
  tls: ['sys'],
  errors: ['http1', 'undici'],
  undici: [],
  diagnostics: [],
  http1: ['structures'],
  reactor: ['structures', 'socket-pool', 'sys'],
  'socket-pool': ['structures', 'sys'],
  structures: [],
  sys: [],
}

const HARD_LIMIT_LINES = 500

interface Module {
  path: string
  layer: string
  text: string
  /** Files of src/, relative to it. */
  internal: string[]
  /** What else is imported, by its specifier. */
  external: string[]
}

const modules: Module[] = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  .sort()
  .map((path) => {
    const text = readFileSync(join(source, path), 'utf8')
    // Finds static, dynamic and type-only imports, and re-exports, but none in comments or strings.
    const specifiers = preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName)
    const isInternal = (specifier: string): boolean => specifier.startsWith('.')
    return {
      path,
      layer: path.split('/')[0]!.replace(/\.ts$/, ''),
      text,
      internal: specifiers
        .filter(isInternal)
        .map((specifier) => relative(source, resolve(source, dirname(path), specifier.replace(/\.js$/, '.ts')))),
      external: specifiers.filter((specifier) => !isInternal(specifier)),
    }
  })

const inLayer = (name: string): Module[] => modules.filter(({ layer }) => layer === name)

/** A cycle among the imports, as a path that ends where it begins; `null` when there is none. */
function findCycle(): string[] | null {
  const imports = new Map(modules.map(({ path, internal }) => [path, internal]))
  const finished = new Set<string>()
  const visit = (path: string, trail: string[]): string[] | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (finished.has(path)) return null
    for (const next of imports.get(path) ?? []) {
      const cycle = visit(next, [...trail, path])
      if (cycle !== null) return cycle
    }
    finished.add(path)
    return null
  }
  for (const path of imports.keys()) {
    const cycle = visit(path, [])
    if (cycle !== null) return cycle
  }
  return null
}

describe('imports', () => {
  it('are found at all', () => {
    expect(modules.length).toBeGreaterThan(20)
    expect(inLayer('pool').flatMap(({ internal }) => internal)).toContain('http1/response-reader.ts')
    // By type only.
    expect(modules.find(({ path }) => path === 'transport/wire.ts')?.internal).toContain('errors.ts')
    const paths = new Set(modules.map(({ path }) => path))
    expect(modules.flatMap(({ internal }) => internal).filter((path) => !paths.has(path))).toEqual([])
  })

  it('belong to known layers', () => {
    expect(modules.filter(({ layer }) => !(layer in LAYERS)).map(({ path }) => path)).toEqual([])
  })

  it('point down only', () => {
    const upward = modules.flatMap(({ path, layer, internal }) =>
      internal
        .filter((imported) => {
          const to = imported.split('/')[0]!.replace(/\.ts$/, '')
          return to !== layer && !LAYERS[layer]?.includes(to)
        })
        .map((imported) => `${path} -> ${imported}`),
    )
    expect(upward).toEqual([])
  })

  it('have no cycles, types included', () => {
    expect(findCycle()).toBeNull()
  })

  it('of http1/ are node:buffer and the wasm module: it does no I/O', () => {
    const external = new Set(inLayer('http1').flatMap(({ external }) => external))
    expect([...external].sort()).toEqual(['node:buffer', 'virtual:llhttp-wasm'])
  })

  it('of diagnostics are node:diagnostics_channel: it knows no request', () => {
    expect(inLayer('diagnostics').flatMap(({ external }) => external)).toEqual(['node:diagnostics_channel'])
  })

  it('of undici are types, but for those of undici.ts: its index makes its own Agent the global one', () => {
    const others = modules.filter(({ path }) => path !== 'undici.ts')
    const values = others.filter(({ text }) => /^import (?!type)[^'"]*['"]undici/m.test(text))
    expect(values.map(({ path }) => path)).toEqual([])
    expect(inLayer('undici')[0]!.text).not.toMatch(/^import (?!type)[^'"]*['"]undici['"]/m)
  })

  it('are not of node:http: as an ES module it loads the undici of Node.js', () => {
    expect(modules.filter(({ external }) => external.includes('node:http')).map(({ path }) => path)).toEqual([])
  })

  it('name koffi in sys/ only', () => {
    // koffi is loaded by require, and its types by import(): the quoted name is what they have in common.
    const users = modules.filter(({ text }) => /['"`]koffi['"`]/.test(text))
    expect(users.map(({ layer }) => layer)).toEqual(users.map(() => 'sys'))
    expect(users.length).toBeGreaterThan(0)
  })

  it('take nothing from node:net that makes sockets, but for those lent to Node', () => {
    const connecting = modules
      .filter(({ path }) => path !== 'transport/loan.ts')
      .flatMap(({ path, text }) =>
        [...text.matchAll(/^import (?!type)([^'"]*?) from ['"](?:node:)?net['"]/gms)].map(([, names]) => ({
          path,
          names: names!,
        })),
      )
      .filter(
        ({ names }) => !/^\{.*\}$/s.test(names) || /\b(?<!type )(connect|createConnection|Socket|Stream)\b/.test(names),
      )
    expect(connecting).toEqual([])
  })

  it('of tls/ from node:net are names for addresses: it makes no connections', () => {
    const ofNet = inLayer('tls').filter(({ external }) => external.includes('node:net'))
    expect(ofNet.map(({ path }) => path)).toEqual(['tls/native-options.ts'])
  })

  it('leave HTTP out of socket-pool/', () => {
    const words = inLayer('socket-pool').flatMap(({ path, text }) => {
      const code = text.replace(/\/\*.*?\*\/|\/\/.*?$/gms, '')
      return /http/i.test(code) ? [path] : []
    })
    expect(words).toEqual([])
  })
})

describe('files', () => {
  it(`have at most ${HARD_LIMIT_LINES} lines`, () => {
    const sizes = modules.map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
    sizes.sort((a, b) => b.lines - a.lines)
    console.info(
      `largest files: ${sizes
        .slice(0, 3)
        .map(({ path, lines }) => `${path} ${lines}`)
        .join(', ')}`,
    )
    expect(sizes.filter(({ lines }) => lines > HARD_LIMIT_LINES)).toEqual([])
  })
})
