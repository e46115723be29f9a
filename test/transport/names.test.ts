/** What the resolver says of a name: who shares it, for how long it is remembered, and what one asker can do to another. */
import { AsyncLocalStorage } from 'node:async_hooks'
import dns, { type LookupAddress, type LookupOptions } from 'node:dns'
import { isNativeError } from 'node:util/types'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Answer, Names, Question } from '../../src/transport/names.js'

type Callback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

interface Asked {
  hostname: string
  options: LookupOptions
  answer: Callback
}

let asked: Asked[] = []
let clock = 0

beforeEach(() => {
  asked = []
  clock = 1000
  vi.spyOn(performance, 'now').mockImplementation(() => clock)
  vi.spyOn(dns, 'lookup').mockImplementation(((hostname: string, options: LookupOptions, answer: Callback) => {
    asked.push({ hostname, options, answer })
  }) as never)
})

afterEach(() => {
  vi.restoreAllMocks()
})

const question = new Question('name.test', { family: 0, all: false })

/** What an asker was told. */
interface Told {
  error: NodeJS.ErrnoException | null
  answer: Answer | null
}

function asker(): { told: Told[]; tell(error: Told['error'], answer: Told['answer']): void } {
  const told: Told[] = []
  return { told, tell: (error, answer) => told.push({ error, answer }) }
}

function ask(names: Names, about = question): Told[] {
  const { told, tell } = asker()
  names.ask(about, tell)
  return told
}

const notFound = (): NodeJS.ErrnoException =>
  Object.assign(new Error('getaddrinfo ENOTFOUND name.test'), {
    code: 'ENOTFOUND',
    errno: -3008,
    syscall: 'getaddrinfo',
    hostname: 'name.test',
  })

it('asks once for all who ask at the same time', () => {
  const names = new Names(0)
  const all = [ask(names), ask(names), ask(names)]
  expect(asked).toMatchObject([{ hostname: 'name.test', options: { family: 0, all: false } }])
  asked[0]!.answer(null, '127.0.0.1', 4)
  for (const told of all) expect(told).toEqual([{ error: null, answer: all[0]![0]!.answer }])
  expect(all[0]![0]!.answer).toMatchObject({ address: '127.0.0.1', family: 4 })
})

it('remembers an answer for dnsTtl milliseconds', () => {
  const names = new Names(1000)
  ask(names)
  asked[0]!.answer(null, '127.0.0.1', 4)
  clock += 999
  expect(names.recall(question)).toMatchObject({ address: '127.0.0.1' })
  clock += 1
  expect(names.recall(question)).toBeNull()
})

it('remembers nothing with a dnsTtl of 0', () => {
  const names = new Names(0)
  ask(names)
  asked[0]!.answer(null, '127.0.0.1', 4)
  expect(names.recall(question)).toBeNull()
  ask(names)
  expect(asked).toHaveLength(2)
})

it('takes an answer for old when the clock has gone back', () => {
  const names = new Names(1000)
  ask(names)
  asked[0]!.answer(null, '127.0.0.1', 4)
  clock = 0
  expect(names.recall(question)).toBeNull()
})

it('tells an error to all who have asked, each with an object of its own, and does not remember it', () => {
  const names = new Names(1000)
  const all = [ask(names), ask(names)]
  const error = notFound()
  asked[0]!.answer(error, [])
  expect(all[0]).toEqual([{ error, answer: null }])
  const copy = all[1]![0]!.error!
  expect(copy).not.toBe(error)
  expect([isNativeError(copy), copy.stack, { ...copy }]).toEqual([true, error.stack, { ...error }])
  expect(copy.message).toBe(error.message)
  expect(names.recall(question)).toBeNull()
  ask(names)
  expect(asked).toHaveLength(2)
})

it.each([
  ['another name', 'other.test', { family: 0, all: false }],
  ['another family', 'name.test', { family: 4, all: false }],
  ['other flags', 'name.test', { family: 0, hints: 32, all: false }],
  ['all addresses', 'name.test', { family: 0, all: true }],
])('asks anew for %s', (_what, hostname, options) => {
  const names = new Names(1000)
  ask(names)
  const other = new Question(hostname, options)
  const told = ask(names, other)
  expect(asked).toHaveLength(2)
  asked[0]!.answer(null, '127.0.0.1', 4)
  expect([told, names.recall(other)]).toEqual([[], null])
  expect(asked[1]).toMatchObject({ hostname, options })
})

it('forgets an answer that was of no use, and no later one', () => {
  const names = new Names(1000)
  const first = ask(names)
  asked[0]!.answer(null, '127.0.0.1', 4)
  names.forget(first[0]!.answer!)
  expect(names.recall(question)).toBeNull()
  ask(names)
  asked[1]!.answer(null, '127.0.0.2', 4)
  names.forget(first[0]!.answer!)
  expect(names.recall(question)).toMatchObject({ address: '127.0.0.2' })
})

it('puts the address that was connected to first', () => {
  const names = new Names(1000)
  const all = new Question('name.test', { all: true })
  const told = ask(names, all)
  const addresses = ['::1', '127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: address === '::1' ? 6 : 4 }))
  asked[0]!.answer(null, addresses)
  const { answer } = told[0]!
  names.prefer(answer!, '::1')
  expect(names.recall(all)).toBe(answer)
  names.prefer(answer!, '127.0.0.2')
  expect(names.recall(all)!.address).toEqual([addresses[2], addresses[0], addresses[1]])
  // It is as old as it was, and what was handed out has not changed.
  expect([names.recall(all)!.at, answer!.address]).toEqual([answer!.at, addresses])
})

it('remembers a thousand names, and forgets the oldest first', () => {
  const names = new Names(1000)
  const questions = Array.from({ length: 1025 }, (_, i) => new Question(`name-${i}.test`, {}))
  for (const one of questions) {
    ask(names, one)
    asked.at(-1)!.answer(null, '127.0.0.1', 4)
  }
  expect(questions.filter((one) => names.recall(one) === null)).toEqual([questions[0]])
})

it('does not wait for a lookup that may have been lost', () => {
  const names = new Names(1000)
  const first = ask(names)
  clock += 4999
  ask(names)
  expect(asked).toHaveLength(1)
  clock += 1
  const second = ask(names)
  expect(asked).toHaveLength(2)
  asked[1]!.answer(null, '127.0.0.2', 4)
  expect([first, second]).toMatchObject([[], [{ answer: { address: '127.0.0.2' } }]])
  // The first one comes after all.
  asked[0]!.answer(null, '127.0.0.1', 4)
  expect(first).toMatchObject([{ answer: { address: '127.0.0.1' } }])
})

it('tells the others what one of them throws at', async () => {
  const names = new Names(1000)
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
  names.ask(question, () => {
    throw new Error('of an asker')
  })
  const told = ask(names)
  asked[0]!.answer(null, '127.0.0.1', 4)
  expect(told).toMatchObject([{ answer: { address: '127.0.0.1' } }])
  expect(await uncaught).toEqual(new Error('of an asker'))
  for (const listener of listeners) process.on('uncaughtException', listener)
})

it('hears a resolver once', () => {
  const told = ask(new Names(1000))
  asked[0]!.answer(null, '127.0.0.1', 4)
  asked[0]!.answer(notFound(), [])
  expect(told).toHaveLength(1)
})

it('tells what a resolver throws', () => {
  const thrown = new Error('no resolver')
  vi.mocked(dns.lookup).mockImplementation((() => {
    throw thrown
  }) as never)
  expect(ask(new Names(1000))).toEqual([{ error: thrown, answer: null }])
})

it("asks and tells in no asker's async context", () => {
  const storage = new AsyncLocalStorage<string>()
  const names = new Names(1000)
  const stores: unknown[] = []
  vi.mocked(dns.lookup).mockImplementation(((_name: string, _options: object, answer: Callback) => {
    stores.push(storage.getStore())
    asked.push({ hostname: '', options: {}, answer })
  }) as never)
  for (const store of ['first', 'second']) {
    storage.run(store, () => names.ask(question, () => stores.push(storage.getStore())))
  }
  storage.run('resolver', () => asked[0]!.answer(null, '127.0.0.1', 4))
  expect(stores).toEqual([undefined, undefined, undefined])
})

it('answers net.connect as dns.lookup does, and later when it knows the answer', async () => {
  const names = new Names(1000)
  const calls: unknown[][] = []
  const lookup = (options: LookupOptions): Promise<void> =>
    new Promise((resolve) => {
      names.lookup('name.test', options, (...args) => {
        calls.push(args)
        resolve()
      })
    })
  const first = lookup({ family: 4 })
  asked[0]!.answer(null, '127.0.0.1', 4)
  await first
  const second = lookup({ family: 4 })
  expect(calls).toHaveLength(1)
  await second
  const failing = lookup({ family: 6 })
  const error = notFound()
  asked[1]!.answer(error, [])
  await failing
  expect(calls).toEqual([[null, '127.0.0.1', 4], [null, '127.0.0.1', 4], [error]])
  expect(asked).toHaveLength(2)
})
