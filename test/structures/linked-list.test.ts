import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Link, LinkedList } from '../../src/structures/linked-list.js'

class Member extends Link<Member> {
  readonly name: number

  constructor(name: number) {
    super()
    this.name = name
  }
}

const names = (list: LinkedList<Member>): number[] => [...list].map(({ name }) => name)

describe('a linked list', () => {
  it('holds what a Set would after any additions and removals, in its order', () => {
    const step = fc.record({ isAdded: fc.boolean(), name: fc.nat(9) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new LinkedList<Member>()
        const members = Array.from({ length: 10 }, (_, name) => new Member(name))
        const model = new Set<number>()
        for (const { isAdded, name } of steps) {
          if (!isAdded) {
            list.remove(members[name]!)
            model.delete(name)
          } else if (!model.has(name)) {
            list.append(members[name]!)
            model.add(name)
          }
          expect(names(list)).toEqual([...model])
          expect(list.size).toBe(model.size)
          expect(list.first?.name).toBe([...model][0])
        }
      }),
    )
  })

  it('goes through the members that it had at the beginning, whatever happens meanwhile', () => {
    const list = new LinkedList<Member>()
    for (let name = 0; name < 4; name++) list.append(new Member(name))
    const seen: number[] = []
    for (const member of list) {
      seen.push(member.name)
      list.remove(member)
    }
    expect(seen).toEqual([0, 1, 2, 3])
    expect(list.size).toBe(0)
  })

  it('does not remove the member of another list', () => {
    const [one, other] = [new LinkedList<Member>(), new LinkedList<Member>()]
    const member = new Member(1)
    one.append(member)
    other.remove(member)
    expect(names(one)).toEqual([1])
  })

  it('leaves no link in what it has removed, by which garbage could hold on to what is alive', () => {
    const list = new LinkedList<Member>()
    const members = [new Member(0), new Member(1), new Member(2)]
    for (const member of members) list.append(member)
    list.remove(members[1]!)
    expect(members[1]).toMatchObject({ list: null, previous: null, next: null })
  })
})
