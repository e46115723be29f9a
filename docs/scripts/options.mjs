/**
 * Writes docs/options.md from the comments of the option types in src/: name, type, default, unit and meaning of each.
 *
 *   node docs/scripts/options.mjs           writes it
 *   node docs/scripts/options.mjs --check   fails when it is not up to date
 *   node docs/scripts/options.mjs --json    prints what the tables hold, for the tests
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))
const target = `${root}docs/options.md`

const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
const files = ['src/index.ts', 'src/options.ts'].map((path) => root + path)
const program = ts.createProgram(files, { ...options, types: ['node'] })
const checker = program.getTypeChecker()

/** The declared type or interface of that name in a file of src/. */
function declaration(path, name) {
  const source = program.getSourceFile(root + path)
  const found = source?.statements.find((statement) => statement.name?.text === name)
  if (found === undefined) throw new Error(`${path} has no ${name}`)
  return found
}

/** Where the types that comments link to are described. */
const DESCRIBED = {
  TransportName: '[transport](#transport)',
  TlsTransportName: '[tlsTransport](#tlstransport)',
  RecycleMode: '[recycle](#recycle)',
}

/** A comment in one line. */
function prose(parts) {
  const text = parts.map(({ kind, text }) => {
    if (kind === 'link') return ''
    return kind === 'linkName' ? (DESCRIBED[text] ?? `\`${text}\``) : text
  })
  return text.join('').replace(/\s+/g, ' ').trim()
}

/** Its type as it is declared; of a choice of strings what they are. */
function typeOf(symbol) {
  const type = checker.getNonNullableType(checker.getTypeOfSymbol(symbol))
  if (type.isUnion() && type.types.every((one) => one.isStringLiteral())) {
    return type.types.map(({ value }) => `'${value}'`).join(' | ')
  }
  const text = symbol.valueDeclaration.type.getText()
  return text.replaceAll('Client.', '').replaceAll('buildConnector.', '').replace('Partial<BuildOptions>', 'object')
}

const UNIT = /\bin (milliseconds|bytes)\b/

/** What an interface of src/ says about its members, those of its base types left out. */
function membersOf(path, name) {
  return declaration(path, name).members.map((member) => {
    const symbol = checker.getSymbolAtLocation(member.name)
    const meaning = prose(symbol.getDocumentationComment(checker))
    const tag = symbol.getJsDocTags(checker).find(({ name }) => name === 'default')
    const byDefault = tag === undefined ? null : prose(tag.text ?? [])
    return {
      name: symbol.name,
      type: typeOf(symbol),
      default: byDefault,
      unit: UNIT.exec(meaning)?.[1] ?? null,
      meaning,
    }
  })
}

/** Names of options in undici's types. */
function namesOf(path, interfaceName) {
  const source = program.getSourceFiles().find(({ fileName }) => fileName.endsWith(`/undici/types/${path}`))
  const names = []
  const refused = []
  const visit = (node) => {
    if (ts.isInterfaceDeclaration(node) && node.name.text === interfaceName) {
      for (const { name, type } of node.members) {
        const isNever = type?.kind === ts.SyntaxKind.NeverKeyword
        ;(isNever ? refused : names).push(name.getText())
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return { names, refused }
}

const agent = membersOf('src/options.ts', 'RecyclingAgentOptions')
const fromClient = namesOf('client.d.ts', 'Options')
const fromPools = new Set([...namesOf('pool.d.ts', 'Options').names, ...namesOf('agent.d.ts', 'Options').names])
const isWithoutEffect = ({ meaning }) => meaning.startsWith('Of no effect')
const ofClient = agent.filter(({ name }) => fromClient.names.includes(name))

const sections = {
  own: agent.filter(({ name }) => !fromPools.has(name) && !fromClient.names.includes(name)),
  pools: agent.filter(({ name }) => fromPools.has(name)),
  client: ofClient.filter((option) => !isWithoutEffect(option)),
  connect: membersOf('src/options.ts', 'ConnectFields'),
  socketPool: membersOf('src/socket-pool/socket-pool.ts', 'SocketPoolOptions'),
}
const preconnect = membersOf('src/options.ts', 'PreconnectOptions')
const withoutEffect = ofClient.filter(isWithoutEffect).map(({ name }) => name)

/** Those of undici's options that src/ says nothing about are an omission, but for these. */
const NOT_TAKEN = ['factory', 'interceptors']
const missing = [...fromPools, ...fromClient.names].filter(
  (name) => !NOT_TAKEN.includes(name) && !agent.some((option) => option.name === name),
)
if (missing.length > 0) throw new Error(`not declared in RecyclingAgentOptions: ${missing.join(', ')}`)

const cell = (text) => text.replaceAll('|', '\\|')
const code = (text) => `\`${cell(text)}\``
const literal = /^('[^']*'|-?\d+|true|false|null|Infinity|\{.*\})$/

function table(members) {
  const rows = members.map((option) => [
    code(option.name),
    code(option.type),
    option.default === null ? '-' : literal.test(option.default) ? code(option.default) : cell(option.default),
    option.unit ?? '-',
    cell(option.meaning),
  ])
  return aligned([['option', 'type', 'default', 'unit', 'meaning'], ...rows])
}

function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const line = (row) => `| ${row.map((text, column) => text.padEnd(widths[column])).join(' | ')} |`
  return [line(rows[0]), line(widths.map((width) => '-'.repeat(width))), ...rows.slice(1).map(line)].join('\n')
}

/** The comment of a type alias, paragraphs and lists as they stand. */
function aliasComment(path, name) {
  const symbol = checker.getSymbolAtLocation(declaration(path, name).name)
  return ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim()
}

const VARIABLES = [
  ['variable', 'value', 'meaning'],
  [
    '`RECYCLING_AGENT_TRANSPORT`',
    '`net`',
    "`transport: 'net'`, for all agents of the process that do not set `transport`",
  ],
  [
    '`RECYCLING_AGENT_TLS`',
    '`node`',
    "`tlsTransport: 'node'`, for all agents of the process that do not set `tlsTransport`",
  ],
]

const list = (names) => names.map(code).join(', ')

function markdown() {
  return `<!-- Written by \`npm run docs:options\` from the comments in src/; change those. -->

# Options

The options of the constructors, of \`preconnect\` and of requests, and the environment variables. An option that is missing or
\`undefined\` has its default. An option of the wrong type or out of its range throws undici's \`InvalidArgumentError\`, with
undici's messages; \`SocketPool\` throws a \`RangeError\`.

## \`new RecyclingAgent(options)\`

Its own options:

${table(sections.own)}

### \`transport\`

${aliasComment('src/transport/choose.ts', 'TransportName')}

Without the option, the environment variable \`RECYCLING_AGENT_TRANSPORT=net\` selects \`net\`. Otherwise it is \`native\` where that
is possible, and elsewhere \`net\`, with a process warning whose code is \`RECYCLING_AGENT_NET\`.

### \`tlsTransport\`

${aliasComment('src/tls/native-tls.ts', 'TlsTransportName')}

Without the option, the environment variable \`RECYCLING_AGENT_TLS=node\` selects \`node\`. Unlike \`transport: 'native'\`,
\`tlsTransport: 'native'\` does not throw where it is impossible: [Operations](operations.md#tls) lists the connections that are
left to Node's \`TLSSocket\`, and says how to see them.

### \`recycle\`

${aliasComment('src/socket-pool/socket-pool.ts', 'RecycleMode')}

[Operations](operations.md#which-mode-should-i-use) says when to choose which.

### Options of undici's Agent and Pool

${table(sections.pools)}

### Options of undici's Client

${table(sections.client)}

### \`connect\`

An object holds options of [\`tls.connect\`](https://nodejs.org/api/tls.html#tlsconnectoptions-callback), for \`https:\` (\`ca\`,
\`cert\`, \`key\`, \`servername\`, \`rejectUnauthorized\` and so on), and these:

${table(sections.connect)}

### Options without effect

HTTP/2 is not spoken. These options are accepted as by undici, and change nothing:
${list(withoutEffect)}.

### Options that are refused

${list(fromClient.refused.filter((name) => name !== 'tls'))},
as by undici, and \`factory\`: pass \`RecyclingPool\` to the \`factory\` option of undici's dispatchers instead.

## \`new RecyclingPool(origin, options)\`

The same options, without \`maxOrigins\`.

## \`agent.preconnect(origin, options)\`, \`pool.preconnect(options)\`

${table(preconnect)}

It resolves when the connections are open and verified, and rejects with the error of the first one that cannot be made: see
the [API](api/classes/RecyclingAgent.md#preconnect). [Operations](operations.md#preconnect-and-spare-connections) says when to
use it.

## \`new SocketPool(options)\`

${table(sections.socketPool)}

## Options of a request

They are undici's: see [\`dispatch\`](https://undici.nodejs.org/#/docs/api/Dispatcher).
[Compatibility](compatibility.md#dispatching) lists the few that differ. One of them is \`expectContinue\`, which has an effect
over HTTP/1.1 here: with \`expectContinue: true\` the body [waits for a 100 (Continue)](operations.md#expect-100-continue).

## Environment variables

${aligned(VARIABLES)}

Any other value has no effect.
`
}

const text = markdown()
if (process.argv.includes('--json')) {
  console.log(JSON.stringify(sections))
} else if (process.argv.includes('--check')) {
  const isUpToDate = readFileSync(target, 'utf8') === text
  if (!isUpToDate) console.error(`${relative(process.cwd(), target)} is not up to date: npm run docs:options`)
  process.exitCode = isUpToDate ? 0 : 1
} else {
  writeFileSync(target, text)
}
