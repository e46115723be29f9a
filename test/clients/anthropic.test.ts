/** The package @anthropic-ai/sdk over the agent. */
import Anthropic from '@anthropic-ai/sdk'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { describeSdk } from './generated-sdk.js'

expectNoDescriptorLeft()

const event = (type: string, data: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`
const usage = { input_tokens: 1, output_tokens: 1 }
const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', stop_reason: null, usage }

describeSdk({
  name: '@anthropic-ai/sdk',
  client(settings) {
    const { messages } = new Anthropic({ apiKey: 'none', authToken: null, ...settings })
    const question = { model: 'm', max_tokens: 10, messages: [{ role: 'user' as const, content: 'What?' }] }
    return {
      async ask(signal) {
        const { content } = await messages.create(question, { signal })
        return content.map((block) => (block.type === 'text' ? block.text : '')).join('')
      },
      async stream() {
        const stream = await messages.create({ ...question, stream: true })
        return {
          async *[Symbol.asyncIterator]() {
            for await (const event of stream) {
              if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') yield event.delta.text
            }
          },
          abort: () => stream.controller.abort(),
        }
      },
    }
  },
  answer: (text) => ({ ...message, content: [{ type: 'text', text }], stop_reason: 'end_turn' }),
  begin:
    event('message_start', { message: { ...message, content: [] } }) +
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
  piece: (text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
  end:
    event('content_block_stop', { index: 0 }) +
    event('message_delta', { delta: { stop_reason: 'end_turn' }, usage }) +
    event('message_stop', {}),
})
