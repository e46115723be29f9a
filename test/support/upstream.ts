/** Upstreams that a test can ask what they saw: one of node:http in this process, and nginx where it is installed. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Upstream {
  origin: string
  port: number
  /** What the server had to complain about. */
  complaints(): string[]
  close(): Promise<void>
}

/** An answer of 12 bytes, then the end of the connection. */
export const closingListener: RequestListener = (_request, response) => {
  response.writeHead(200, { connection: 'close', 'content-length': 12 }).end('hello world\n')
}

export async function startNodeUpstream(listener: RequestListener = closingListener): Promise<Upstream> {
  const complaints: string[] = []
  const server = createHttpServer(listener)
  server.on('clientError', (error, socket) => {
    complaints.push(String(error))
    socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    complaints: () => complaints,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Where nginx is; `undefined` where it is not installed. Debian keeps it where only root's PATH leads. */
export const nginxCommand = ['nginx', '/usr/sbin/nginx'].find(
  (command) => spawnSync(command, ['-v']).error === undefined,
)

/**
 * One nginx process that ends each connection with its first response and logs everything from level `info` on.
 *
 * @param location what it does with every request
 */
export async function startClosingNginx(location = 'return 200 "hello world\\n";'): Promise<Upstream> {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
  const log = join(directory, 'error.log')
  const port = await freePort()
  const configuration = join(directory, 'nginx.conf')
  writeFileSync(configuration, nginxConf(directory, log, port, location))
  const child = spawn(nginxCommand!, ['-e', log, '-p', directory, '-c', configuration], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const killOnExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killOnExit)
  await untilListening(child, port)
  // The connection that found out is in the log, too.
  const linesBefore = linesOf(log).length
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    complaints: () => linesOf(log).slice(linesBefore),
    async close() {
      child.kill('SIGTERM')
      await exited
      process.off('exit', killOnExit)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

const linesOf = (log: string): string[] => readFileSync(log, 'utf8').split('\n').filter(Boolean)

function nginxConf(directory: string, log: string, port: number, location: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ')
  return `
    daemon off; master_process off; worker_processes 1; pid ${directory}/pid; error_log ${log} info;
    events { worker_connections 256; }
    http {
      access_log off; keepalive_timeout 0; ${paths}
      server { listen 127.0.0.1:${port}; location / { ${location} } }
    }`
}

/** nginx wants to be told its port. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + 5000
  while (child.exitCode === null && performance.now() < deadline) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    if (isThere) {
      socket.resume().write('GET / HTTP/1.0\r\n\r\n')
      await once(socket, 'end')
      // nginx is through with it; a FIN of ours would leave a TIME_WAIT.
      socket.resetAndDestroy()
      return
    }
  }
  throw new Error('nginx does not listen')
}
