/** The page of examples/metrics.mjs in a browser: its numbers are those of `agent.stats`, and its curves are drawn. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { launchChromium, whyNoChromium } from '../support/chromium.js'
import { type RunningExample, startExample } from '../support/examples.js'
import { isTried } from '../support/gate.js'
import { isNative } from '../support/transport.js'

/** A browser starts, and the load goes on for some seconds. */
const PATIENCE_MS = 60_000
const SECONDS = 8
const IDS = ['created', 'recycled', 'idle', 'use', 'flight'] as const

type Numbers = Record<(typeof IDS)[number], number>

describe.runIf(isTried(whyNoChromium))('the page of the metrics', () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await launchChromium()
  }, PATIENCE_MS)

  afterAll(() => browser?.close())

  /** The page, with what went wrong in it and what it has asked for. */
  async function open(url: string): Promise<{ page: Page; wrong: string[]; asked: Set<string> }> {
    const page = await browser.newPage({ viewport: { width: 1000, height: 820 } })
    const wrong: string[] = []
    const asked = new Set<string>()
    page.on('pageerror', ({ message }) => wrong.push(message))
    page.on('console', (message) => wrong.push(message.text()))
    page.on('request', (request) => asked.add(request.url()))
    await page.goto(url)
    return { page, wrong, asked }
  }

  function start(): RunningExample {
    const example = startExample('metrics.mjs', ['--stay', `--seconds=${SECONDS}`])
    onTestFinished(() => void example.process.kill('SIGKILL'))
    return example
  }

  it(
    'shows the numbers of agent.stats, and plots them',
    async () => {
      const example = start()
      const [, url] = await example.line(/^the page is on (\S+),/)
      const { page, wrong, asked } = await open(url!)

      const [, ...stats] = await example.line(
        /^after the load: (\d+) created, (\d+) recycled, (\d+) idle, (\d+) in use$/,
      )
      const [created, recycled, idle, use] = stats.map(Number) as [number, number, number, number]
      expect(created + recycled).toBeGreaterThan(100)
      expect(recycled > 0).toBe(isNative)
      await expect
        .poll(() => numbersOf(page), { timeout: PATIENCE_MS })
        .toEqual({ created, recycled, idle, use, flight: 0 })
      expect(await page.locator('#state').textContent()).toMatch(
        isNative ? /^live · \d+\.\d % of all connections on a recycled socket$/ : /^live · 0\.0 %/,
      )

      // Later, when two samples tell that nothing goes on: the curves have been up, and end where they should.
      await expect.poll(async () => at((await curve(page, 'use')).slice(-2)), { timeout: PATIENCE_MS }).toBe('floor')
      expect(at(await curve(page, 'flight'))).toBe('above')
      expect(at(await curve(page, isNative ? 'recycled' : 'created'))).toBe('above')
      expect(at((await curve(page, 'idle')).slice(-1))).toBe(isNative ? 'above' : 'floor')
      for (const id of IDS) expect(await strokeOf(page, id), id).toMatch(/^rgb\(.+\) 2px$/)

      expect(wrong).toEqual([])
      expect([...asked].filter((target) => !target.startsWith(url!) && !target.startsWith('data:'))).toEqual([])
      await page.close()
      example.process.kill('SIGTERM')
      expect(await example.finished).toMatchObject({ code: 0, signal: null, stderr: '' })
    },
    PATIENCE_MS,
  )

  it(
    'says when the service has gone',
    async () => {
      const example = start()
      const [, url] = await example.line(/^the page is on (\S+),/)
      const { page } = await open(url!)
      await expect.poll(() => page.locator('#state').textContent(), { timeout: PATIENCE_MS }).toMatch(/^live/)
      // In the middle of the load.
      example.process.kill('SIGTERM')
      expect(await example.finished).toMatchObject({ code: 0, signal: null, stderr: '' })
      await expect
        .poll(() => page.locator('#state').textContent(), { timeout: PATIENCE_MS })
        .toBe('the service does not answer')
    },
    PATIENCE_MS,
  )
})

/** What stands in the tiles. */
async function numbersOf(page: Page): Promise<Numbers> {
  const texts = await Promise.all(IDS.map(async (id) => [id, await page.locator(`#${id}`).textContent()] as const))
  return Object.fromEntries(texts.map(([id, text]) => [id, Number(text!.replaceAll(',', ''))])) as Numbers
}

/** The heights of a curve's points over the floor of its chart, in pixels. */
async function curve(page: Page, id: string): Promise<number[]> {
  const line = page.locator(`polyline[data-series="${id}"]`)
  const points = (await line.getAttribute('points')) ?? ''
  // The first rule across the chart is the one of zero.
  const floor = Number(await page.locator(`svg:has(polyline[data-series="${id}"]) line`).first().getAttribute('y1'))
  expect(points, id).toMatch(/^[\d.]+,[\d.]+( [\d.]+,[\d.]+)+$/)
  return points.split(' ').map((point) => floor - Number(point.split(',')[1]))
}

/** Whether any of these heights is more than a few pixels; a point has one decimal place. */
const at = (heights: number[]): 'above' | 'floor' => (heights.some((height) => height > 5) ? 'above' : 'floor')

const strokeOf = (page: Page, id: string): Promise<string> =>
  page.evaluate(`(() => {
    const { stroke, strokeWidth } = getComputedStyle(document.querySelector('polyline[data-series="${id}"]'))
    return stroke + ' ' + strokeWidth
  })()`)
