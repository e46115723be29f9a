/**
 * Timeouts. undici's clock for them ticks every half a second, so that it is late by up to one: only what happens is
 * compared, not when. Where undici would take seconds RecyclingAgent's own tests suffice.
 */
import { describe } from 'vitest'
import { answering, ok } from '../support/raw-server.js'
import { HEAD } from './answers.js'
import { turns, twin } from './twin.js'

const TIMEOUT = 100

describe('headersTimeout', () => {
  twin(
    'of the agent',
    async (stage) => {
      const { origin } = await stage.server(() => {})
      await stage.send(stage.agent({ connections: 1, headersTimeout: TIMEOUT }), { origin }).done
      await stage.noted('disconnect')
    },
    { styles: ['new'] },
  )
  twin(
    'of the request, in place of the agent\u2019s',
    async (stage) => {
      const { origin } = await stage.server(() => {})
      await stage.send(stage.agent({ connections: 1, headersTimeout: 60_000 }), { origin, headersTimeout: TIMEOUT })
        .done
      await stage.noted('disconnect')
    },
    { styles: ['new'] },
  )
  twin(
    'within the head',
    async (stage) => {
      const { origin } = await stage.server((peer) => peer.request().then(() => peer.write(`${HEAD}a: b\r\n`)))
      await stage.send(stage.agent({ connections: 1, headersTimeout: TIMEOUT }), { origin }).done
      await stage.noted('disconnect')
    },
    { styles: ['new'] },
  )
  twin(
    'behind an informational response',
    async (stage) => {
      const { origin } = await stage.server((peer) => peer.request().then(() => peer.write('HTTP/1.1 103 X\r\n\r\n')))
      await stage.send(stage.agent({ connections: 1, headersTimeout: TIMEOUT }), { origin }).done
      await stage.noted('disconnect')
    },
    { styles: ['legacy'] },
  )
  twin(
    'fails the first request of a queue, the next is served',
    async (stage) => {
      const { origin } = await stage.server((peer) => (peer.index === 0 ? undefined : answering(ok())(peer)))
      const agent = stage.agent({ connections: 1, headersTimeout: TIMEOUT })
      const exchanges = [stage.send(agent, { origin }), stage.send(agent, { origin, path: '/next' })]
      for (const { done } of exchanges) await done
      await turns()
    },
    { styles: ['new'] },
  )
})

describe('bodyTimeout', () => {
  twin(
    'of the agent',
    async (stage) => {
      const { origin } = await stage.server(answering(`${HEAD}content-length: 9\r\n\r\nabc`))
      await stage.send(stage.agent({ connections: 1, bodyTimeout: TIMEOUT }), { origin }).done
      await stage.noted('disconnect')
    },
    { styles: ['legacy'] },
  )
  twin(
    'of the request, with nothing of the body',
    async (stage) => {
      const { origin } = await stage.server(answering(`${HEAD}content-length: 9\r\n\r\n`))
      await stage.send(stage.agent({ connections: 1 }), { origin, bodyTimeout: TIMEOUT }).done
      await stage.noted('disconnect')
    },
    { styles: ['new'] },
  )
  twin(
    'of a close-delimited body',
    async (stage) => {
      const { origin } = await stage.server(answering(`${HEAD}\r\nabc`))
      await stage.send(stage.agent({ connections: 1 }), { origin, bodyTimeout: TIMEOUT }).done
      await stage.noted('disconnect')
    },
    { styles: ['legacy'] },
  )
})

describe('connectTimeout', () => {
  const silent = (): void => {}
  twin(
    'of a name that is being looked up',
    async (stage) => {
      const agent = stage.agent({ connections: 1, connectTimeout: TIMEOUT, connect: { lookup: silent } })
      await stage.send(agent, { origin: 'http://name.test:81' }).done
      await stage.noted('connectionError')
    },
    { styles: ['legacy'] },
  )
  twin(
    'as an option of connect',
    async (stage) => {
      const agent = stage.agent({ connections: 1, connect: { lookup: silent, timeout: TIMEOUT } })
      await stage.send(agent, { origin: 'http://name.test' }).done
      await stage.noted('connectionError')
    },
    { styles: ['new'] },
  )
})
