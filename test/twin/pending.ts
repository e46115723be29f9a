/** Scenarios that are not yet alike. One that has become so fails until its entry is taken out. */
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
    note: "taken for an informational response; undici fails with its own AssertionError, 'bad response' would be right",
  },
  {
    scenario: /^by a reset within a close-delimited body, /,
    note: "'disconnect' says InformationalError 'reset' instead of SocketError 'closed'",
  },
  {
    scenario: /^101( with a content-length)?$/,
    note: 'without an Upgrade field it is skipped in silence; undici fails (AssertionError in 7), e.g. bad upgrade',
  },
  {
    scenario: 'that is older than clientTtl takes no request',
    note: "'disconnect' says InformationalError 'reset' instead of ClientDestroyedError",
  },
  { scenario: 'for a lookup that throws', note: 'undici looks up, and fails, within dispatch(); we in a later turn' },
  { scenario: 'after close has begun', note: "'drain' comes after destroy(); undici 7 does not end anything any more" },
  {
    scenario: /^a web stream with its content-length$/,
    note: 'on Node.js 24 and later the stream ends behind the response: requestSent is not told',
    sometimes: true,
  },
]
