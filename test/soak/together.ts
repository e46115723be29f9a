/** Requests to the gathering upstream, which answers them when all of them wait, on as many connections. */
import type { Dispatcher } from 'undici'

function get(dispatcher: Dispatcher, origin: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let body = ''
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData(_controller, chunk) {
        body += chunk.toString('latin1')
      },
      onResponseEnd: () => resolve(body),
      onResponseError: (_controller, error) => reject(error),
    }
    dispatcher.dispatch({ origin, path, method: 'GET' }, handler)
  })
}

/** @returns of each request how many connections the upstream had when it answered */
export async function getTogether(dispatcher: Dispatcher, origin: string, count: number): Promise<number[]> {
  const path = `/together/${count}`
  const bodies = await Promise.all(Array.from({ length: count }, () => get(dispatcher, origin, path)))
  return bodies.map(Number)
}
