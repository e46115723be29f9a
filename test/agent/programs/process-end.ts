/** Programs whose end, or whose exceptions, are the fact to be seen; the arguments say which, and the server's origin. */
import { request } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'

const [, , mode, origin] = process.argv
const agent = new RecyclingAgent()
// Says so when the process lives although nothing should keep it.
setTimeout(() => console.log('lingered'), 5000).unref()

if (mode === 'idle') {
  const { body } = await request(origin!, { dispatcher: agent })
  console.log(await body.text())
} else if (mode === 'pending') {
  const { body } = await request(origin!, { dispatcher: agent })
  console.log(await body.text())
  request(`${origin}/late`, { dispatcher: agent }).then(async (response) => console.log(await response.body.text()))
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
