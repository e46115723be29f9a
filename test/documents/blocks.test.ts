/** The code in the documents does what it is there for: it is run, or type-checked, on the built package. */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { transform } from 'esbuild'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Block, blocksOf, documents, read, root } from '../support/markdown.js'
import { startProxy } from '../support/proxy.js'

const blocks = documents.flatMap(blocksOf)
const titled = (list: Block[]): [title: string, block: Block][] =>
  list.map((block) => [`${block.document}:${block.line}`, block])
const written = (language: string): Block[] => blocks.filter((block) => block.language === language)

/** What all blocks of a document take for granted. */
const SURROUNDINGS: Record<string, { before: string; after: string }> = {
  'docs/clients.md': {
    before: "import { RecyclingAgent } from 'recycling-agent'\nconst agent = new RecyclingAgent()",
    after: [
      'const { fresh: ofAgent } = agent.stats.sockets',
      "if (ofAgent === 0) throw new Error('the agent was not used')",
      'await agent.close()',
    ].join('\n'),
  },
}

/** Answers everything with some JSON that every client can read, and closes each connection. */
const upstream = createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, {
      'content-type': 'application/json',
      'x-elastic-product': 'Elasticsearch',
      connection: 'close',
    })
    response.end('{"object":"list","data":[],"has_more":false}')
  })
})
/** Takes datagrams, and answers none. */
const receiver = createSocket('udp4')

beforeAll(async () => {
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  receiver.bind(0, '127.0.0.1')
  await once(receiver, 'listening')
})

afterAll(async () => {
  upstream.close()
  receiver.close()
  await once(upstream, 'close')
})

/** The addresses that documents use stand for servers of the test. */
async function onLocalServers(code: string): Promise<string> {
  const { port } = upstream.address() as AddressInfo
  const { url: proxy } = await startProxy()
  return code
    .replaceAll(/127\.0\.0\.1:(8080|9200)/g, `127.0.0.1:${port}`)
    .replaceAll('http://127.0.0.1:3128', proxy)
    .replaceAll(/\bport: 53\b/g, `port: ${receiver.address().port}`)
}

interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs it as a module in the root of the package, which it finds by its name. */
async function run(code: string): Promise<Ran> {
  const child = spawn(process.execPath, ['--input-type=module'], { cwd: root, stdio: 'pipe', timeout: 60_000 })
  const ran = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      ran[name] += text
    })
  }
  child.stdin.end(code)
  const [exitCode] = await once(child, 'close')
  return { code: exitCode, ...ran }
}

const runBlock = async ({ document, code, before, after }: Block): Promise<Ran> => {
  const around = SURROUNDINGS[document] ?? { before: '', after: '' }
  return run(await onLocalServers([around.before, before, code, after, around.after].join('\n')))
}

it('every block is in a language that is tried here', () => {
  expect(blocks.length).toBeGreaterThan(15)
  // Those of Mermaid are for state-diagrams.test.ts.
  expect([...new Set(blocks.map(({ language }) => language))].sort()).toEqual(['', 'js', 'mermaid', 'sh', 'ts'])
})

describe('js', { timeout: 90_000 }, () => {
  it.each(titled(written('js').filter(({ notRun }) => notRun === null)))(
    '%s runs to its end',
    async (_title, block) => {
      const { code, stderr } = await runBlock(block)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    },
  )

  it('the first program of the README recycles one socket', async () => {
    const [first] = blocksOf('README.md').filter(({ language }) => language === 'js')
    const { stdout } = await runBlock(first!)
    expect(stdout.match(/^200 /gm)).toHaveLength(100)
    // A slow machine may make a few more.
    expect(Number(/recycled: (\d+)/.exec(stdout)?.[1])).toBeGreaterThanOrEqual(90)
  })

  it.each(titled(blocks.filter(({ notRun }) => notRun !== null)))(
    '%s is not run, but it is code',
    async (_title, block) => {
      expect(block.notRun).toMatch(/\w+ \w+/)
      await expect(transform(block.code, { loader: block.language === 'ts' ? 'ts' : 'js' })).resolves.toBeDefined()
    },
  )
})

describe('ts', { timeout: 90_000 }, () => {
  // typedoc's signatures are no programs.
  const programs = written('ts').filter(({ document }) => !document.startsWith('docs/api/'))

  it.each(titled(programs))('%s has the right types', (_title, { code, before, after }) => {
    const path = join(root, 'block.mts')
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
    const host = ts.createCompilerHost(options)
    const { getSourceFile, fileExists } = host
    const text = [before, code, after].join('\n')
    host.getSourceFile = (name, ...rest) =>
      name === path ? ts.createSourceFile(path, text, ts.ScriptTarget.ESNext) : getSourceFile(name, ...rest)
    host.fileExists = (name) => name === path || fileExists(name)
    const program = ts.createProgram([path], options, host)
    const diagnostics = ts.getPreEmitDiagnostics(program)
    expect(diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
  })
})

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

/** What npm does by itself. */
const NPM_COMMANDS = ['ci', 'cit', 'install', 'test', 'version', 'pack']

/** Names of scripts and of files in command lines that are not there. */
function missingIn(commands: string): string[] {
  const missing: string[] = []
  for (const [, command, script] of commands.matchAll(/\bnpm (?!-)([a-z]+)(?: (?:-\S+ )*([a-z][\w:-]*))?/g)) {
    if (command === 'run' ? !(script! in scripts) : !NPM_COMMANDS.includes(command!))
      missing.push(`npm ${command} ${script}`)
  }
  for (const [path] of commands.matchAll(/(?<=^|\s)(?:\.\/)?(?:[\w.-]+\/)+[\w.-]+\.(?:mjs|ts)\b/gm)) {
    if (!existsSync(join(root, path))) missing.push(path)
  }
  return missing
}

describe('sh', () => {
  it.each(titled([...written('sh'), ...written('')]))(
    '%s names scripts and files that are there',
    (_title, { code }) => {
      expect(missingIn(code)).toEqual([])
    },
  )

  it('CONTRIBUTING.md names every script that is not a part of another one', () => {
    const parts = ['build', 'prepack', 'test:watch']
    const named = read('CONTRIBUTING.md')
    const unnamed = Object.keys(scripts).filter(
      (script) =>
        !parts.includes(script) &&
        !script.startsWith('docs:') &&
        !new RegExp(`npm (run )?${script}(?![\\w:-])`).test(named),
    )
    expect(unnamed).toEqual([])
  })

  it.each(documents)('so do the commands in the text of %s', (document) => {
    const commands = [...read(document).matchAll(/`([^`\n]+)`/g)].map(([, command]) => command!)
    expect(commands.flatMap(missingIn)).toEqual([])
  })
})
