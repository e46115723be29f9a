import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FreeConnections, PooledConnection } from '../../src/pool/free-connections.js'

/** A request is the number of a name; a connection that is in use serves requests of its own name only. */
class FakeConnection extends PooledConnection<FakeConnection, number> {
  canTake = true
  serves: number | null = null

  canServe(request: number): boolean {
    return this.canTake && (this.serves === null || this.serves === request)
  }
}

const COUNT = 12
const anyone = (): FakeConnection[] => Array.from({ length: COUNT }, (_, order) => new FakeConnection(order))

describe('the free connections', () => {
  it('give the oldest that can take the request, as a search among all of them would', () => {
    const change = fc.record({
      which: fc.nat(COUNT - 1),
      canTake: fc.boolean(),
      serves: fc.option(fc.nat(2)),
      request: fc.option(fc.nat(2)),
    })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 100 }), (changes) => {
        const free = new FreeConnections<FakeConnection, number>()
        const all = anyone()
        for (const connection of all) free.add(connection, COUNT)
        for (const { which, canTake, serves, request } of changes) {
          const connection = all[which]!
          Object.assign(connection, { canTake, serves })
          if (canTake) free.add(connection, COUNT)
          const expected = all.find((one) => (request === null ? one.canTake : one.canServe(request)))
          expect(free.first(request)?.order).toBe(expected?.order)
        }
      }),
    )
  })

  it('do not hold on to the dead, even while an older one stays free', () => {
    const free = new FreeConnections<FakeConnection, number>()
    const oldest = new FakeConnection(0)
    free.add(oldest, 1)
    const dead: FakeConnection[] = []
    for (let order = 1; order < 1000; order++) {
      const connection = new FakeConnection(order)
      free.add(connection, 2)
      connection.canTake = false
      dead.push(connection)
      expect(free.first(null)).toBe(oldest)
    }
    expect(dead.filter(({ isInHeap }) => isInHeap).length).toBeLessThan(50)
  })

  it('do not hold on to the dead when nobody asks for one any more', () => {
    const free = new FreeConnections<FakeConnection, number>()
    const all = Array.from({ length: 1000 }, (_, order) => new FakeConnection(order))
    for (const connection of all) free.add(connection, all.length)
    all.forEach((connection, i) => {
      connection.canTake = false
      free.trim(all.length - i - 1)
    })
    expect(all.filter(({ isInHeap }) => isInHeap).length).toBeLessThan(50)
  })

  it('are none where nobody can take a request', () => {
    const free = new FreeConnections<FakeConnection, number>()
    expect(free.first(null)).toBeUndefined()
    for (const connection of anyone()) {
      free.add(connection, COUNT)
      connection.canTake = false
    }
    expect(free.first(null)).toBeUndefined()
  })
})
