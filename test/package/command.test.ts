/** The command, as `npx` runs it from the packed package: with all that it needs beside it, and without. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { selfSigned } from '../support/certificates.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'
import { startNodeUpstream, type Upstream } from '../support/upstream.js'
import { PATIENCE_MS, pack, project, type Result, run, undici } from './project.js'

describeNative('npx recycling-agent', { timeout: PATIENCE_MS }, () => {
  let directory: string
  let complete: string
  let tarball: string
  let upstream: Upstream

  beforeAll(async () => {
    upstream = await startNodeUpstream()
    directory = mkdtempSync(join(tmpdir(), 'recycling-agent-command-'))
    tarball = join(directory, (await pack(directory)).filename)
    complete = join(directory, 'complete')
    await project(complete, [tarball, `undici@${undici}`])
  }, PATIENCE_MS)

  afterAll(async () => {
    await upstream.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const npx = (...args: string[]): Promise<Result> => run(complete, 'npx', ['--no-install', 'recycling-agent', ...args])

  it('is a program', () => {
    expect(statSync(join(complete, 'node_modules/recycling-agent/dist/cli.js')).mode & 0o111).toBe(0o111)
  })

  it('says what works here', async () => {
    const { code, stdout, stderr } = await npx()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^ok +symbols +(\d+) of \1 are there$/m)
    expect(stdout).toMatch(/^ok +trial +5 requests on 127\.0\.0\.1: sockets created \d, recycled [1-4]$/m)
    expect(stdout).toContain(`${undici}\n`)
  })

  it('runs from the tarball in an empty folder', async () => {
    const empty = join(directory, 'empty')
    mkdirSync(empty)
    const { code, stdout } = await run(empty, 'npx', [
      '--yes',
      '--prefer-offline',
      `--package=${tarball}`,
      'recycling-agent',
      '--json',
    ])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ isRecycling: true })
  })

  it('measures an upstream that closes its connections, and ends by itself', async () => {
    const { code, stdout, stderr } = await npx(upstream.origin, '--json')
    expect(code).toBe(0)
    expect(stderr).toMatch(/^Sends GET \/ to /)
    const { upstream: look, undici: theirs, recycling: ours } = JSON.parse(stdout)
    expect(look).toMatchObject({ status: 200, keeps: false, announces: true })
    expect(theirs).toMatchObject({ requests: 200, created: 200, recycled: 0, lost: 0 })
    expect(ours).toMatchObject({ requests: 200, lost: 0 })
    expect(ours.recycled).toBeGreaterThan(150)
    expect(ours.cpuMicrosecondsPerRequest).toBeGreaterThan(0)
  })

  it('measures one that keeps them, over TLS', async () => {
    const { origin } = await rawServer(answering(ok()), { secure: await selfSigned('127.0.0.1') })
    const { code, stdout, stderr } = await npx(origin, '--insecure', '--requests=100')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^keeps its connections +yes$/m)
    expect(stdout).toMatch(/^resumes TLS sessions +yes$/m)
    expect(stdout).toMatch(
      /^(It does not help you|Recycling does not help you), because the upstream keeps its connections/m,
    )
  })

  it('says in one line that there is nobody', async () => {
    expect(await npx('http://127.0.0.1:1/')).toMatchObject({
      code: 2,
      stderr: 'recycling-agent: no answer from 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n',
    })
  })

  it('says that koffi has no binary where optional dependencies were left out', async () => {
    const bare = join(directory, 'bare')
    await project(bare, [tarball, `undici@${undici}`], '--omit=optional')
    const { code, stdout, stderr } = await run(bare, 'npx', ['--no-install', 'recycling-agent'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toMatch(/^no +koffi +koffi cannot be loaded: Cannot find the native Koffi module/m)
    expect(stdout).toMatch(/-> npm install koffi, with its optional dependencies/)
    // Nothing else is blamed.
    expect(stdout).not.toMatch(/^no +(symbols|dissolving)/m)
    expect(stdout).toContain('Sockets are not recycled here.')
    expect(stdout).toMatch(/^no +transport +'net': ordinary sockets, none is recycled/m)
    const measured = await run(bare, 'npx', ['--no-install', 'recycling-agent', upstream.origin, '--requests=40'])
    expect(measured).toMatchObject({ code: 0, stderr: '' })
    expect(measured.stdout).toMatch(
      /^It does not help you here, because sockets cannot be recycled: koffi cannot be loaded/m,
    )
  })

  it('says that undici is missing', async () => {
    const lonely = join(directory, 'lonely')
    await project(lonely, [tarball], '--legacy-peer-deps')
    const report = await run(lonely, 'npx', ['--no-install', 'recycling-agent'])
    expect({ code: report.code, stderr: report.stderr }).toEqual({ code: 1, stderr: '' })
    expect(report.stdout).toMatch(/^no +undici +not found\n +-> npm install undici@7$/m)
    expect(report.stdout).toMatch(/^ok +dissolving/m)
    expect(await run(lonely, 'npx', ['--no-install', 'recycling-agent', upstream.origin])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^recycling-agent: undici cannot be loaded \(.*\): npm install undici@7\n$/),
    })
  })

  it('shows progress on a terminal only', async () => {
    // script(1) gives it one.
    const command = `npx --no-install recycling-agent ${upstream.origin} --requests=20 --concurrency=1`
    const shown = await new Promise<string>((resolve) => {
      execFile('script', ['-qec', command, '/dev/null'], { cwd: complete, timeout: PATIENCE_MS }, (_error, stdout) =>
        resolve(stdout),
      )
    })
    expect(shown).toContain('of 40 requests, now with RecyclingAgent')
    expect(shown).toContain('sockets recycled')
  })
})
