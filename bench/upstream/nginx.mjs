/*
 * nginx as the upstream: one process, one thread, a configuration of its own in a temporary directory.
 */

import { spawn, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { helloBody } from '../loads.mjs'

const startTimeoutMs = 5_000

/** @type {{ name: string, protocols?: string, isKeptAlive: boolean, isEverywhere?: true }[]} */
const servers = [
  { name: 'closing', isKeptAlive: false },
  { name: 'secure', protocols: 'TLSv1.3', isKeptAlive: false },
  { name: 'secure12', protocols: 'TLSv1.2', isKeptAlive: false },
  { name: 'keepalive', isKeptAlive: true },
  { name: 'secure-keepalive', protocols: 'TLSv1.3', isKeptAlive: true },
  // By every address of the loopback interface, each of which is an origin.
  { name: 'origins', isKeptAlive: false, isEverywhere: true },
]

/** @returns {{ command: string, version: string } | undefined} undefined where nginx is not installed */
export function findNginx() {
  // Debian keeps it where only root's PATH leads.
  for (const command of ['nginx', '/usr/sbin/nginx']) {
    const { stderr, error } = spawnSync(command, ['-v'], { encoding: 'utf8' })
    if (error === undefined) return { command, version: stderr.trim().replace(/^nginx version: /, '') }
  }
}

/**
 * @param {string} command
 * @param {string} directory holds the configuration, temporary files, and the file `bulk` to serve
 * @param {import('./certificate.mjs').Certificate} certificate
 * @returns {Promise<{ pid: number, origins: Record<string, string>, stop: () => Promise<void> }>}
 */
export async function startNginx(command, directory, { cert, key }) {
  const ports = await findFreePorts(servers.length)
  const configuration = join(directory, 'nginx.conf')
  await Promise.all([
    writeFile(configuration, nginxConf(directory, ports)),
    writeFile(join(directory, 'cert.pem'), cert),
    writeFile(join(directory, 'key.pem'), key),
  ])
  const child = spawn(command, ['-e', 'stderr', '-p', directory, '-c', configuration], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  // Whatever ends this process, nginx is not to outlive it.
  process.once('exit', () => child.kill('SIGKILL'))
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve))
  const stop = async () => {
    child.kill('SIGTERM')
    await exited
  }
  try {
    await waitUntilListening(/** @type {number} */ (ports.at(-1)))
  } catch (error) {
    await stop()
    throw error
  }
  const origins = servers.map(({ name, protocols }, i) => [
    name,
    `${protocols === undefined ? 'http' : 'https'}://127.0.0.1:${ports[i]}`,
  ])
  return { pid: child.pid ?? process.pid, origins: Object.fromEntries(origins), stop }
}

/**
 * @param {string} directory
 * @param {readonly number[]} ports
 */
function nginxConf(directory, ports) {
  const locations = `
    location / { return 200 "${helloBody.replace('\n', '\\n')}"; }
    location = /bulk { root ${directory}; }`
  const temporaryPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ')
  const blocks = servers.map(({ name, protocols, isKeptAlive, isEverywhere }, i) => {
    const tls = `
    ssl_protocols ${protocols};
    ssl_certificate ${directory}/cert.pem;
    ssl_certificate_key ${directory}/key.pem;
    ssl_session_cache shared:${name}:4m;`
    return `
  server {
    listen ${isEverywhere ? '*' : '127.0.0.1'}:${ports[i]} ${protocols === undefined ? '' : 'ssl '}backlog=4096;${protocols === undefined ? '' : tls}
    keepalive_timeout ${isKeptAlive ? '1h; keepalive_requests 1000000000' : '0'};${isEverywhere ? '\n    allow 127.0.0.0/8; deny all;' : ''}${locations}
  }`
  })
  return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
events { worker_connections 16384; }
http {
  access_log off;
  ${temporaryPaths}
  default_type text/plain;
  sendfile on;
${blocks.join('')}
}
`
}

/** @param {number} count */
async function findFreePorts(count) {
  // All are held at once, so that no port is found twice.
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => /** @type {import('node:net').AddressInfo} */ (server.address()).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** @param {number} port */
async function waitUntilListening(port) {
  const deadlineMs = performance.now() + startTimeoutMs
  while (!(await accepts(port))) {
    if (performance.now() > deadlineMs) throw new Error('nginx did not start')
    await sleep(20)
  }
}

/** @param {number} port */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
