/** What a caller sees of a response, in a form that depends neither on the dispatcher nor on how the bytes were split. */
import type { Dispatcher } from 'undici'

export interface Outcome {
  /** Status codes of 1xx heads. */
  informational: number[]
  /** Status code, reason phrase, names and values of fields by turns; `null` when there was no final head. */
  head: (string | number)[] | null
  body: string
  /** `complete` and the trailers, or an error's class, code and message. */
  end: unknown[]
}

const latin1 = (raw: readonly Buffer[] | null): string[] => (raw ?? []).map((bytes) => bytes.toString('latin1'))

/** What tells errors apart. undici 7 gives its parser's errors no code. */
export function nameOf(error: unknown): unknown[] {
  const { name, code, message } = error as NodeJS.ErrnoException
  return name === 'HTTPParserError' ? [name, message] : [(error as Error).constructor.name, code, message]
}

export type GetOptions = Partial<Dispatcher.DispatchOptions> & { origin: string }

/**
 * Sends a request.
 *
 * @param pauses after the head and after each chunk the handler wants no more, for a turn of the event loop
 * @returns what came of it
 */
export function outcomeOf(
  dispatcher: Pick<Dispatcher, 'dispatch'>,
  options: GetOptions,
  pauses = false,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = { informational: [], head: null, body: '', end: [] }
    const over = (...end: unknown[]): void => {
      outcome.end = end
      resolve(outcome)
    }
    const takeBreath = (controller: Dispatcher.DispatchController): void => {
      if (!pauses) return
      controller.pause()
      setImmediate(() => controller.resume())
    }
    const rawHeaders = (controller: unknown): Buffer[] => (controller as { rawHeaders: Buffer[] }).rawHeaders
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onRequestUpgrade(controller, status, _headers, socket) {
        outcome.head = [status, '', ...latin1(rawHeaders(controller))]
        socket.on('error', () => {})
        socket.destroy()
        over('upgrade')
      },
      onResponseStart(controller, status, _headers, text) {
        if (status < 200) outcome.informational.push(status)
        else outcome.head = [status, text ?? '', ...latin1(rawHeaders(controller))]
        takeBreath(controller)
      },
      onResponseData(controller, chunk) {
        outcome.body += chunk.toString('latin1')
        takeBreath(controller)
      },
      onResponseEnd(controller) {
        over('complete', ...latin1((controller as unknown as { rawTrailers: Buffer[] }).rawTrailers))
      },
      onResponseError(_controller, error) {
        over(...nameOf(error))
      },
    }
    dispatcher.dispatch({ path: '/', method: 'GET', ...options }, handler)
  })
}

/** An outcome in a line: status codes, body, and `end` with the trailers or `!` with the error. */
export function inWords({ informational, head, body, end }: Outcome): string {
  const words: string[] = informational.map(String)
  if (head !== null) words.push(`${head[0]}`)
  if (body !== '') words.push(JSON.stringify(body))
  const [name, ...rest] = end as string[]
  if (name === 'complete') words.push(rest.length > 0 ? `end ${rest.join(' ')}` : 'end')
  else if (name === 'upgrade') words.push('upgrade')
  else if (name === 'HTTPParserError') words.push(`! ${/\((.*)\)$/.exec(rest[0]!)?.[1]}`)
  else if (name === 'ResponseContentLengthMismatchError') words.push('! length mismatch')
  else words.push(`! ${rest[1]?.split('\n')[0]}`)
  return words.join(' ')
}
