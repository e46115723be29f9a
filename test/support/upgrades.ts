/** Handlers that take the socket of an upgrade, and what the other side says to one. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { type Flow, type Hooks, type Recording, recording, type Style } from './handlers.js'

export interface UpgradeRecording extends Recording {
  /** Resolves in the upgrade callback. */
  socket: Promise<Socket>
}

/**
 * A recording whose handler also takes upgrades, written down as `['upgrade', statusCode, fields]`.
 *
 * @param onUpgrade called within the upgrade callback
 */
export function upgradeRecording(
  style: Style,
  onUpgrade: (socket: Socket, flow: Flow) => void = () => {},
  hooks: Hooks = {},
): UpgradeRecording {
  let flow: Flow
  let resolve: (socket: Socket) => void
  const socket = new Promise<Socket>((done) => {
    resolve = done
  })
  const recorded = recording(style, {
    ...hooks,
    start(control, said) {
      flow = control
      hooks.start?.(control, said)
    },
  })
  const take = (statusCode: number, rawHeaders: Buffer[], taken: Socket): void => {
    recorded.events.push(['upgrade', statusCode, rawHeaders.map(String)])
    resolve(taken)
    onUpgrade(taken, flow)
  }
  const methods = {
    new: {
      onRequestUpgrade: (
        { rawHeaders }: { rawHeaders: Buffer[] },
        statusCode: number,
        _headers: unknown,
        taken: Socket,
      ) => take(statusCode, rawHeaders, taken),
    },
    legacy: { onUpgrade: take },
  }
  Object.assign(recorded.handler as Dispatcher.DispatchHandler, methods[style])
  return Object.assign(recorded, { socket })
}

/** A response that agrees to an upgrade, with bytes behind its head. */
export const switching = (rest = ''): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n${rest}`

/** What arrives until there are so many characters of it. */
export async function readText(socket: Socket, length: number): Promise<string> {
  let text = ''
  const take = (chunk: Buffer): void => {
    text += chunk
  }
  socket.on('data', take)
  while (text.length < length) await once(socket, 'data')
  socket.off('data', take)
  return text
}
