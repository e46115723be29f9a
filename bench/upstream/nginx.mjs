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
 * @returns {Promise<{ closing: string, secure: string, keepalive: string, stop: () => Promise<void> }>} the origins
 */
export async function startNginx(command, directory, { cert, key }) {
  const [closingPort, securePort, keepalivePort] = await findFreePorts(3)
  const configuration = join(directory, 'nginx.conf')
  await Promise.all([
    writeFile(configuration, nginxConf(directory, closingPort, securePort, keepalivePort)),
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
    await waitUntilListening(keepalivePort)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    closing: `http://127.0.0.1:${closingPort}`,
    secure: `https://127.0.0.1:${securePort}`,
    keepalive: `http://127.0.0.1:${keepalivePort}`,
    stop,
  }
}

/**
 * @param {string} directory
 * @param {number} closingPort
 * @param {number} securePort
 * @param {number} keepalivePort
 */
function nginxConf(directory, closingPort, securePort, keepalivePort) {
  const locations = `
    location / { return 200 "${helloBody.replace('\n', '\\n')}"; }
    location = /bulk { root ${directory}; }`
  const temporaryPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ')
  return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
events { worker_connections 8192; }
http {
  access_log off;
  ${temporaryPaths}
  default_type text/plain;
  sendfile on;
  server {
    listen 127.0.0.1:${closingPort} backlog=4096;
    keepalive_timeout 0;${locations}
  }
  server {
    listen 127.0.0.1:${securePort} ssl backlog=4096;
    ssl_certificate ${directory}/cert.pem;
    ssl_certificate_key ${directory}/key.pem;
    ssl_session_cache shared:sessions:4m;
    keepalive_timeout 0;${locations}
  }
  server {
    listen 127.0.0.1:${keepalivePort} backlog=4096;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;${locations}
  }
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
