/** Leases until the process has no descriptor left, with a few idle ones to give up first. */
import type { Descriptor } from '../../../src/socket-pool/descriptor.js'
import { SocketPool } from '../../../src/socket-pool/socket-pool.js'
import type { SystemError } from '../../../src/sys/system-error.js'

const pool = new SocketPool()
const idle = [1, 2].map((port) => pool.lease({ address: '127.0.0.1', port }))
for (const descriptor of idle) pool.release(descriptor)
const hasIdleBefore = pool.stats.idle === 2

const peer = { address: '127.0.0.1', port: 9 }
const leases: Descriptor[] = []
let error: SystemError | undefined
while (error === undefined) {
  try {
    leases.push(pool.lease(peer))
  } catch (thrown) {
    error = thrown as SystemError
  }
}
const { code, syscall, message } = error
const { closed, idle: left } = pool.stats
pool.discard(leases.pop()!)
const survivesWithRoom = pool.lease(peer).state === 'leased'
console.log(
  JSON.stringify({ error: { code, syscall, message }, hasIdleBefore, evicted: closed, idle: left, survivesWithRoom }),
)
