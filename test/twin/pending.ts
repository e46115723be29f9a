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
    scenario: 'on a closed agent before the origin is looked at',
    note: 'close() of an idle agent has destroyed it within the call: ClientDestroyedError instead of ClientClosedError',
  },
  {
    scenario: /^room up to pipelining \d on one connection$/,
    note: 'the next blocking request is written after the end of the response, undici writes it after the final head',
  },
  {
    scenario: 'in the started callback goes to the error callback',
    note: "'disconnect' says InformationalError 'aborted', undici's says what was thrown",
  },
  {
    scenario: /^close in the (start|head|data|end) callback$/,
    note: "'disconnect' of close() says InformationalError 'reset' instead of ClientDestroyedError, then comes 'drain'",
  },
  { scenario: /^destroy in the (start|head|data|end) callback$/, note: "'drain' comes after destroy()" },
  {
    scenario: 'in the start callback of a request behind others writes nothing',
    note: 'undici ends the connection with InformationalError aborted, the next request opens another one; drain differs',
  },
  { scenario: /^upgrade (5|true|\{|"[^"])/, note: 'upgrades are refused as a whole, before the value is checked' },
  {
    scenario: /^an empty (array|async generator|iterable) with (GET|DELETE|OPTIONS|TRACE|X)$/,
    note: 'a body that turns out to be empty ends the connection, as if it had been sent',
  },
  {
    scenario: /^a stream, by (a FIN|destroy\(\))$/,
    style: 'new',
    note: "the body is destroyed with the error, so that it emits 'error'; undici 7 destroys it without one",
  },
  { scenario: /^constructor: factory /, note: 'an invalid factory is ignored' },
  {
    scenario: 'of "HTTP/1.1 000 OK"',
    note: "taken for an informational response; undici fails with its own AssertionError, 'bad response' would be right",
  },
  {
    scenario: /^by (a list of content-lengths|a content-length beyond 64 bits)$/,
    note: 'HTTPParserError; with undici ResponseContentLengthMismatchError',
  },
  {
    scenario: /^by a reset within a close-delimited body, /,
    note: "'disconnect' says InformationalError 'reset' instead of SocketError 'closed'",
  },
  {
    scenario: /^an empty line behind (a sized|a chunked|an empty) one$/,
    note: "ends the connection with 'bad response'; undici's parser skips it",
  },
  {
    scenario: /^101( with a content-length)?$/,
    note: 'without an Upgrade field it is skipped in silence; undici fails (AssertionError in 7), e.g. bad upgrade',
  },
  {
    scenario: 'that has got an empty line which nobody has read yet',
    note: "ends the connection with 'bad response'; undici's parser skips it",
  },
  {
    scenario: 'that is older than clientTtl takes no request',
    note: "'disconnect' says InformationalError 'reset' instead of ClientDestroyedError",
  },
  {
    scenario: 'are served in order with pipelining and POST',
    note: "'drain' comes with the end of the last response, undici's with its head: there is room in the pipeline",
  },
  { scenario: 'for a lookup that throws', note: 'undici looks up, and fails, within dispatch(); we in a later turn' },
  {
    scenario: 'fails all that are queued, one by one',
    note: 'with one connection undici fails all that wait for it with one error, we try again for each',
  },
  {
    scenario:
      /^(of an agent with an idle connection|waits for a (request on the wire|response that is paused).*|twice at once is once)$/,
    note: "'disconnect' of close() says InformationalError 'reset' instead of ClientDestroyedError, then comes 'drain'",
  },
  {
    scenario:
      /^(fails a request on the wire and \d that wait with .*|fails what is queued at once|aborts a response that is being read)$/,
    note: "'drain' comes after destroy()",
  },
  {
    scenario: 'of one connection',
    note: 'undici has ClientStats here: connected is a boolean, there is no free and queued',
  },
  { scenario: 'after close has begun', note: "'drain' comes after destroy(); undici 7 does not end anything any more" },
  {
    scenario: /^a (Blob|Blob with a type|web stream) with (POST|GET|DELETE|its content-length|a content-type)$/,
    note: 'on Node 24 and later the end of the body comes behind the response: no requestSent, and the connection is reset',
    sometimes: true,
  },
]
