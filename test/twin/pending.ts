/** Scenarios that are not yet alike. One that has become so fails until its entry is taken out. */
import type { Style } from '../support/handlers.js'

export interface Pending {
  scenario: string | RegExp
  note: string
  style?: Style
  undici?: 7 | 8
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
]
