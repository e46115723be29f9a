/**
 * Scenarios that are not alike, in what is of no consequence or of undici's making. One that has become alike fails until
 * its entry is taken out.
 */
import type { Style } from '../support/handlers.js'

export interface Pending {
  scenario: string | RegExp
  note: string
  style?: Style
  undici?: 7 | 8
  /** Now and then alike, as a race or the version of Node has it. */
  sometimes?: true
}

export const PENDING: Pending[] = [
  {
    scenario: 'in the started callback goes to the error callback',
    note: "'disconnect' says InformationalError 'aborted', undici's says what was thrown",
  },
  {
    scenario: 'in the start callback of a request behind others writes nothing',
    note: 'undici ends the connection with InformationalError aborted, the next request opens another one; drain differs',
  },
  {
    scenario: /^a stream, by (a FIN|destroy\(\))$/,
    style: 'new',
    note: "the body is destroyed with the error, so that it emits 'error'; undici 7 destroys it without one",
  },
  {
    scenario: 'of "HTTP/1.1 000 OK"',
    note: 'refused as what it is, an HTTPParserError; undici fails an assertion of its own',
  },
  {
    scenario: /^by a reset within a close-delimited body, /,
    note: "'disconnect' says InformationalError 'reset' instead of SocketError 'closed'",
  },
  {
    scenario: /^101( with a content-length)?$/,
    note: 'without an Upgrade field it is refused as a bad upgrade; undici 7 fails an assertion of its own, after the head callback',
  },
  {
    scenario: 'that is older than clientTtl takes no request',
    note: "'disconnect' of the old connection comes before 'connect' of the new one, with undici behind it",
  },
  { scenario: 'for a lookup that throws', note: 'undici looks up, and fails, within dispatch(); we in a later turn' },
  {
    scenario: 'after close has begun',
    note: 'requests fail with ClientDestroyedError; undici 7 has forgotten its pools by then and ends nothing any more',
  },
  {
    scenario: /^a web stream with its content-length$/,
    note: 'on Node.js 24 and later the stream ends behind the response: requestSent is not told',
    sometimes: true,
  },
]
