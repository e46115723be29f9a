/** What is recommended, by what was measured. */
import { describe, expect, it } from 'vitest'
import { type Evidence, type Known, recommend, savedShare } from '../../src/cli/recommendation.js'

const rounds = (value: number): number[] => Array<number>(10).fill(value)

const known = (changes: Partial<Known> = {}): Known => ({
  requests: 200,
  lost: 0,
  created: 200,
  recycled: 0,
  sentAgain: 0,
  timeWait: { client: 0, upstream: 0 },
  ...changes,
})

const CLOSING: Evidence = {
  look: { status: 200, keeps: false, announces: true, tls: null, resumes: null },
  transport: { transport: 'native', why: null },
  undici: known({ timeWait: { client: 10, upstream: 190 } }),
  recycling: known({ created: 4, recycled: 196 }),
  cpu: { undici: rounds(300), recycling: rounds(120) },
}

const KEEPING: Evidence = {
  ...CLOSING,
  look: { ...CLOSING.look, keeps: true, announces: null },
  undici: known({ created: 4 }),
  recycling: known({ created: 4 }),
}

describe('the recommendation', () => {
  it.each<[situation: string, evidence: Evidence, helps: boolean, words: RegExp[]]>([
    [
      'an upstream that closes',
      CLOSING,
      true,
      [/^It helps you: .* takes 60 % less CPU time/, /leaves 0 connections in TIME_WAIT .* leaves 200\.$/],
    ],
    [
      'one that closes, and no difference',
      { ...CLOSING, cpu: { undici: rounds(120), recycling: rounds(119) } },
      false,
      [/^No difference in CPU time can be told .*--requests=2000/, /TIME_WAIT/],
    ],
    [
      'one that closes, and more spent',
      { ...CLOSING, undici: known(), cpu: { undici: rounds(100), recycling: rounds(150) } },
      false,
      [/^It does not help you: it took 50 % more/],
    ],
    [
      'one that keeps its connections',
      { ...KEEPING, cpu: { undici: rounds(100), recycling: rounds(101) } },
      false,
      [/^It does not help you, because the upstream keeps its connections/],
    ],
    ['one that keeps them, and less spent', KEEPING, true, [/^Recycling does not help you, .* 60 % less CPU time/]],
    [
      'a host that does not recycle',
      { ...CLOSING, transport: { transport: 'net', why: 'gVisor' } },
      false,
      [/^It does not help you here, because sockets cannot be recycled: gVisor\.$/, /Without a URL/],
    ],
    [
      'ends that are not announced',
      {
        ...CLOSING,
        look: { ...CLOSING.look, announces: false },
        undici: known({ lost: 7 }),
        recycling: known({ recycled: 196, sentAgain: 3 }),
      },
      true,
      [/^It helps/, /undici's Agent lost 7 of 200, RecyclingAgent 0, and sent 3 again/, /Connection: close/],
    ],
    [
      'TLS sessions that are not resumed, and no /proc/net/tcp',
      {
        ...CLOSING,
        look: { ...CLOSING.look, tls: 'TLSv1.3', resumes: false },
        undici: known({ timeWait: null }),
      },
      true,
      [/^It helps/, /resumes no TLS session/],
    ],
  ])('for %s', (_situation, evidence, helps, words) => {
    const recommendation = recommend(evidence)
    expect(recommendation.helps).toBe(helps)
    expect(recommendation.code).toBe(helps ? 'new RecyclingAgent()' : null)
    expect(recommendation.text).toHaveLength(words.length)
    for (const [i, pattern] of words.entries()) expect(recommendation.text[i]).toMatch(pattern)
  })
})

describe('a difference in CPU time', () => {
  it('is told when it is large, in most rounds', () => {
    expect(savedShare({ undici: rounds(200), recycling: rounds(150) })).toBeCloseTo(0.25)
    expect(savedShare({ undici: rounds(150), recycling: rounds(200) })).toBeLessThan(-0.3)
  })

  it('is not when it is small, or the rounds do not agree, or there are none', () => {
    expect(savedShare({ undici: rounds(200), recycling: rounds(190) })).toBeNull()
    const mixed = [100, 300, 100, 300, 100, 300, 100, 300, 210, 210]
    expect(savedShare({ undici: rounds(200), recycling: mixed.map((value) => value * 0.8) })).toBeNull()
    expect(savedShare({ undici: [], recycling: [] })).toBeNull()
  })
})
