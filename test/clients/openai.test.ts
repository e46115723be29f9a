/** The openai package over the agent. */
import OpenAI, { toFile } from 'openai'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { alike } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { sendJson, startService } from '../support/service.js'
import { describeSdk, type SdkSettings } from './generated-sdk.js'

expectNoDescriptorLeft()

// Node's types and undici's are those of two undicis.
const openai = ({ fetchOptions, ...settings }: SdkSettings): OpenAI =>
  new OpenAI({ apiKey: 'none', fetchOptions: fetchOptions as object, ...settings })
const shared = { id: 'c', created: 1, model: 'm' }

describeSdk({
  name: 'openai',
  client(settings) {
    const { chat } = openai(settings)
    const question = { model: 'm', messages: [{ role: 'user' as const, content: 'What?' }] }
    return {
      async ask(signal) {
        const { choices } = await chat.completions.create(question, { signal })
        return choices[0]!.message.content!
      },
      async stream() {
        const stream = await chat.completions.create({ ...question, stream: true })
        return {
          async *[Symbol.asyncIterator]() {
            for await (const { choices } of stream) yield choices[0]!.delta.content!
          },
          abort: () => stream.controller.abort(),
        }
      },
    }
  },
  answer: (content) => ({
    ...shared,
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  }),
  begin: ': here it comes\n\n',
  piece(content) {
    const choices = [{ index: 0, delta: { content }, finish_reason: null }]
    return `data: ${JSON.stringify({ ...shared, object: 'chat.completion.chunk', choices })}\n\n`
  },
  end: 'data: [DONE]\n\n',
})

describe('openai', () => {
  const settings = (origin: string, dispatcher: Dispatcher): SdkSettings => ({
    baseURL: origin,
    // For files, the package wants the fetch that belongs to the global FormData.
    fetch: globalThis.fetch,
    fetchOptions: { dispatcher },
  })

  it('uploads a file', async () => {
    const service = await startService((_request, response) => sendJson(response, { id: 'f', object: 'file' }))
    const id = await alike(service, async (dispatcher) => {
      const file = await toFile(Buffer.alloc(300_000, 'abc'), 'data.jsonl')
      return (await openai(settings(service.origin, dispatcher)).files.create({ file, purpose: 'batch' })).id
    })
    expect(id).toBe('f')
    expect(service.seen[0]!.headers['content-type']).toMatch(/^multipart\/form-data/)
  })

  it('downloads a file as a stream', async () => {
    const service = await startService((_request, response) => response.end(Buffer.alloc(2_000_000, 'xyz')))
    const length = await alike(service, async (dispatcher) => {
      const { body } = await openai(settings(service.origin, dispatcher)).files.content('f')
      let sum = 0
      for await (const piece of body as unknown as AsyncIterable<Uint8Array>) sum += piece.length
      return sum
    })
    expect(length).toBe(2_000_000)
  })
})
