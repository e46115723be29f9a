/** What a body's source may do that has no place in a request. */
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

describe.each(dispatchers)('%s', (_name, make) => {
  it('fails a request with what its iterable threw, be it no error', async () => {
    const server = await rawServer(() => {})
    async function* chunks(): AsyncGenerator<string> {
      yield 'piece'
      throw 'no error'
    }
    const { handler, done } = recording('new')
    const body = chunks() as unknown as Exclude<Dispatcher.DispatchOptions['body'], undefined>
    make().dispatch({ origin: server.origin, path: '/', method: 'POST', body }, handler)
    expect((await done).at(-1)).toEqual(['error', 'no error'])
    await (await server.peer(0)).ended()
  })
})
