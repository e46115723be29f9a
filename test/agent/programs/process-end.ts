/** Programs whose end, or whose exceptions, are the fact to be seen; the arguments say which, and the server's origin. */
import { fetch, request } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'

const [, , mode, origin] = process.argv
const agent = new RecyclingAgent({ connect: { rejectUnauthorized: false } })
// Says so when the process lives although nothing should keep it.
setTimeout(() => console.log('lingered'), 5000).unref()

if (mode === 'idle') {
  const { body } = await request(origin!, { dispatcher: agent })
  console.log(await body.text())
} else if (mode === 'pending') {
  const { body } = await request(origin!, { dispatcher: agent })
  console.log(await body.text())
  request(`${origin}/late`, { dispatcher: agent }).then(async (response) => console.log(await response.body.text()))
} else if (mode === 'unread fetch') {
  console.log((await fetch(origin!, { dispatcher: agent })).status)
} else if (mode === 'unread request') {
  console.log((await request(origin!, { dispatcher: agent })).statusCode)
} else if (mode === 'read in part') {
  const { body } = await request(origin!, { dispatcher: agent })
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    console.log(chunk.length > 0)
    break
  }
} else if (mode === 'read later') {
  const { body } = await request(origin!, { dispatcher: agent })
  // The response has come by then, and nobody reads it.
  await new Promise((resolve) => setTimeout(resolve, 100))
  console.log((await body.arrayBuffer()).byteLength)
} else {
  process.on('uncaughtException', (error) => console.log(`uncaught: ${error.message}`))
  agent.dispatch(
    { origin: origin!, path: '/', method: 'GET' },
    {
      onRequestStart(controller) {
        controller.abort(new Error('aborted'))
      },
      onResponseError(_controller, error) {
        throw new Error(`thrown for ${error.message}`)
      },
    },
  )
}
process.once('exit', () => console.log('exit'))
