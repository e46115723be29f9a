/** What keeps the command from doing what it was asked: one line for its user, and exit status 2. */
export class Failure extends Error {
  override readonly name = 'Failure'
}

/** The first line of whatever was thrown, with its code where the message does not have it. */
export function lineOf(error: unknown): string {
  const { message, code } = error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error) }
  const [line = ''] = message.split('\n', 1)
  const text = line.trim() === '' ? 'no message' : line.trim()
  return typeof code !== 'string' || text.includes(code) ? text : `${code}: ${text}`
}
