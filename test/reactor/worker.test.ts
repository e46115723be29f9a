import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Program } from '../support/child.js'

const WORKERS = 30

describe('a process whose workers alone use the reactor', () => {
  let program: Program

  beforeAll(async () => {
    program = await Program.from(new URL('./programs/workers.ts', import.meta.url))
  })

  afterAll(() => {
    program.delete()
  })

  it.each([
    ['come to their natural end', 'natural'],
    ['call process.exit', 'exit'],
    ['throw', 'throw'],
    ['are terminated while idle', 'idle'],
    ['are terminated under load', 'load'],
    ['are terminated with an unreferenced handle', 'unref'],
  ])('lives on, without a descriptor more, when they %s', async (_what, ending) => {
    const { code, signal, stdout, stderr } = await program.run({ args: [ending, String(WORKERS)] })
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ ended: WORKERS, gained: 0 })
  })
})
