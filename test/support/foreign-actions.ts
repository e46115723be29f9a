/** What code of the caller's may do to an agent that is just calling it. */
import type { Action, Scene } from './foreign-code.js'

const EVENTS = ['connect', 'disconnect', 'connectionError', 'drain'] as const

const destroyWith: Action = {
  name: 'destroy(error)',
  ends: 'destroy',
  run: (scene) => scene.destroy(scene.destroyReason),
}
const close: Action = { name: 'close()', ends: 'close', run: (scene) => scene.close() }
const dispatch: Action = { name: 'dispatch', run: (scene) => void scene.dispatch('/inner') }
const abort: Action = {
  name: 'abort',
  aborts: ['culprit'],
  run({ shown, culprit, abortReason }) {
    culprit.abort(abortReason)
    shown?.abort(abortReason)
  },
}
const abortOther: Action = {
  name: 'abort another request',
  aborts: ['other'],
  run: ({ other, abortReason }) => other.abort(abortReason),
}
const throwing: Action = {
  name: 'throw',
  throws: true,
  run({ thrown }) {
    throw thrown
  },
}

/** For the moment: what is paused goes on in the next turn. */
function pause({ culprit }: Scene): void {
  const control = culprit.control
  if (control == null) return
  control.pause()
  setImmediate(() => control.resume())
}

function changeListeners({ agent }: Scene): void {
  for (const event of EVENTS) {
    const listener = (): void => {}
    agent.on(event as 'connect', listener)
    agent.once(event as 'connect', listener)
    agent.removeListener(event as 'connect', listener)
    agent.removeAllListeners(event as 'connect')
  }
}

/** Both, one after the other; who throws cannot do anything afterwards. */
const both = (first: Action, second: Action): Action => ({
  ...first,
  ...second,
  name: `${first.name}, ${second.name}`,
  ...(first.aborts && second.aborts ? { aborts: [...first.aborts, ...second.aborts] } : {}),
  ...(first.ends === 'destroy' || second.ends === 'destroy' ? { ends: 'destroy' } : {}),
  run(scene) {
    first.run(scene)
    second.run(scene)
  },
})

export const actions: readonly Action[] = [
  { name: 'nothing', run() {} },
  { name: 'destroy()', ends: 'destroy', run: (scene) => scene.destroy() },
  destroyWith,
  close,
  throwing,
  dispatch,
  { name: 'dispatch elsewhere', run: (scene) => void scene.dispatch('/other', { origin: scene.otherOrigin }) },
  {
    name: 'dispatch twenty',
    run(scene) {
      for (let i = 0; i < 20; i++) scene.dispatch('/inner', { origin: i % 2 === 0 ? scene.origin : scene.otherOrigin })
    },
  },
  abort,
  abortOther,
  { name: 'pause and resume', run: pause },
  { name: 'change listeners', run: changeListeners },
]

const combined = [destroyWith, close, dispatch, abort, abortOther]

/** One after the other. */
export const pairs: readonly Action[] = combined.flatMap((first) =>
  [...combined, throwing].filter((second) => second !== first).map((second) => both(first, second)),
)
