import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Descriptor } from '../../src/socket-pool/descriptor.js'
import { IdleDescriptors } from '../../src/socket-pool/idle-descriptors.js'
import { Peer } from '../../src/socket-pool/peer.js'

const peers = [1, 2, 3].map((port) => Peer.internet({ address: '127.0.0.1', port }))

describe('idle descriptors', () => {
  it('are there for nobody at first', () => {
    const idle = new IdleDescriptors()
    expect([idle.size, idle.pop(peers[0]!.key), idle.takeOldest()]).toEqual([0, undefined, undefined])
  })

  it('go out last in, first out per peer, and oldest first over all', () => {
    const move = fc.oneof(
      fc.record({ type: fc.constant('push' as const), peer: fc.nat({ max: 2 }) }),
      fc.record({ type: fc.constant('pop' as const), peer: fc.nat({ max: 2 }) }),
      fc.record({ type: fc.constant('takeOldest' as const) }),
    )
    fc.assert(
      fc.property(fc.array(move, { maxLength: 100 }), (moves) => {
        const idle = new IdleDescriptors()
        // The model: one array, oldest first.
        const model: Descriptor[] = []
        let fd = 0
        for (const step of moves) {
          if (step.type === 'push') {
            const descriptor = new Descriptor(fd++, peers[step.peer]!)
            idle.push(descriptor)
            model.push(descriptor)
          } else if (step.type === 'pop') {
            const peer = peers[step.peer]!
            const index = model.findLastIndex((descriptor) => descriptor.peer === peer)
            expect(idle.pop(peer.key)).toBe(index === -1 ? undefined : model.splice(index, 1)[0])
          } else {
            expect(idle.takeOldest()).toBe(model.shift())
          }
          expect(idle.size).toBe(model.length)
        }
      }),
      { numRuns: 200 },
    )
  })
})
