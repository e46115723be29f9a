/** What the command line may say, and the one line that answers whatever else it says. */
import { describe, expect, it } from 'vitest'
import { parseCommand } from '../../src/cli/arguments.js'
import { run } from './collected.js'

const URL_TEXT = 'http://upstream.test/path?query'

describe('a command line', () => {
  it('with a URL measures, with defaults', () => {
    expect(parseCommand([URL_TEXT])).toEqual({
      kind: 'measurement',
      isJson: false,
      load: {
        url: new URL(URL_TEXT),
        requests: 200,
        concurrency: 4,
        method: 'GET',
        headers: {},
        isInsecure: false,
      },
    })
  })

  it('may say how', () => {
    const options = ['--requests=40', '--concurrency', '10', '--method=head', '--insecure', '--json']
    const headers = ['--header=Accept: text/plain', '--header', 'x-token:a:b']
    expect(parseCommand([...options, URL_TEXT, ...headers])).toMatchObject({
      isJson: true,
      load: {
        requests: 40,
        concurrency: 10,
        method: 'HEAD',
        headers: { accept: 'text/plain', 'x-token': 'a:b' },
        isInsecure: true,
      },
    })
  })

  it('without one asks what works here', () => {
    expect(parseCommand(['--json'])).toEqual({ kind: 'report', isJson: true })
  })

  it.each<[argv: string[], line: RegExp]>([
    [['foo'], /^recycling-agent: not a URL that begins with http:\/\/ or https:\/\/: foo\n$/],
    [['localhost:8080'], /begins with http/],
    [['ftp://upstream.test/'], /begins with http/],
    [['http://[::'], /not a URL: http/],
    [['http://me:secret@upstream.test/'], /no user and password in the URL/],
    [[URL_TEXT, 'http://other.test/'], /one URL at a time, not also http:\/\/other\.test\/\n$/],
    [[URL_TEXT, '--requests=19'], /--requests takes a number from 20 to 10000, not "19"/],
    [[URL_TEXT, '--requests=1e3'], /--requests takes a number/],
    [[URL_TEXT, '--concurrency=0'], /--concurrency takes a number from 1 to 50, not "0"/],
    [[URL_TEXT, '--requests=10000', '--concurrency=65'], /from 1 to 64/],
    [[URL_TEXT, '--method=GET /'], /--method takes the name of a method, not "GET \/"/],
    [[URL_TEXT, '--method=CONNECT'], /makes tunnels/],
    [[URL_TEXT, '--header=accept'], /--header takes 'name: value', not "accept"/],
    [[URL_TEXT, '--header=a: b\r\nc: d'], /--header takes/],
    [['--requests=50'], /--requests goes with the URL of an upstream/],
    [['--insecure'], /--insecure goes with the URL/],
    [['--what'], /Unknown option '--what'; --help shows what there is/],
    [['--requests'], /argument missing; --help/],
  ])('%j is refused in one line, with status 2', async (argv, line) => {
    const { status, stdout, stderr } = await run(argv)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(line)
    expect(stderr.match(/\n/g)).toHaveLength(1)
  })

  it('may ask for help, and for the version', async () => {
    const help = await run(['--help'])
    expect(help).toMatchObject({ status: 0, stderr: '' })
    for (const option of ['requests', 'concurrency', 'method', 'header', 'insecure', 'json', 'version']) {
      expect(help.stdout).toContain(`--${option}`)
    }
    expect(await run(['--version', 'foo'])).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    })
  })
})
