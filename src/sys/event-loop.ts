/**
 * This thread's libuv loop and Node-API environment, reached through the public symbols that the node binary exports.
 *
 * koffi's own poll callback is not used: it runs outside of Node's callback scope, and aborts the process when it fires
 * while the environment is being torn down (process exit, worker.terminate()). Instead the `uv_poll_t` behind koffi's
 * handle is restarted with `uv_version`, which does nothing of note and is no system call, so that readiness wakes the
 * loop and runs no JavaScript at all; whoever waits runs in the check phase that follows (setImmediate).
 */
import { foreign } from './native.js'

/** libuv's `uv_handle_type` of `uv_poll_t` (uv.h, UV_HANDLE_TYPE_MAP). */
const UV_POLL = 8
const UV_READABLE = 1
/** dlopen(3): glibc and musl agree on these. */
const RTLD_NOW = 0x2
const RTLD_NOLOAD = 0x4
const RTLD_NODELETE = 0x1000
/** sizeof(Dl_info): two pointers, a name and an address (dladdr(3)). */
const DL_INFO_SIZE = 32

/** Keeps this thread's event loop awake for one descriptor. */
export interface LoopWaker {
  /** The descriptor's readiness, and the loop's wait for it, keep the process alive. */
  ref(): void
  /** The opposite; the state a new waker is in. */
  unref(): void
}

/** koffi closes a handle that is garbage, and readiness would no longer wake the loop. */
const wakers = new Set<LoopWaker>()

/**
 * Makes readiness of `fd` end the poll phase of this thread's loop. The watch lasts as long as the environment. `fd`
 * must be open and of a kind that epoll(7) takes: koffi aborts the process when libuv refuses it.
 *
 * @throws where a symbol is missing or the handle cannot be found
 */
export function wakeLoopFor(fd: number): LoopWaker {
  const { koffi } = foreign()
  pinSharedObject()
  const handle = koffi.node.poll(fd, { readable: true }, () => {})
  handle.unref()
  restartWithoutJavaScript(fd)
  wakers.add(handle)
  return handle
}

function restartWithoutJavaScript(fd: number): void {
  const { koffi, process } = foreign()
  const loop = eventLoop()
  const walkCallback = koffi.proto('void (void *handle, void *argument)')
  const uvWalk = process.func('uv_walk', 'void', ['void *', koffi.pointer(walkCallback), 'void *'])
  const uvHandleGetType = process.func('int uv_handle_get_type(void *handle)')
  const uvFileno = process.func('int uv_fileno(void *handle, void *fd)')
  const uvPollStart = process.func('int uv_poll_start(void *handle, int events, void *callback)')
  const found: bigint[] = []
  const number = new Int32Array(1)
  uvWalk(
    loop,
    (handle: bigint) => {
      if (uvHandleGetType(handle) === UV_POLL && uvFileno(handle, number) === 0 && number[0] === fd) found.push(handle)
    },
    null,
  )
  const [handle] = found
  if (handle === undefined) throw new Error('the uv_poll_t of the descriptor is not in the event loop')
  const status: number = uvPollStart(handle, UV_READABLE, process.symbol('uv_version'))
  if (status !== 0) throw new Error(`uv_poll_start failed with ${status}`)
}

function eventLoop(): bigint {
  const { koffi, process } = foreign()
  const getEventLoop = process.func('int napi_get_uv_event_loop(void *env, void *loop)')
  const loop = new BigUint64Array(1)
  const status: number = getEventLoop(koffi.node.env, loop)
  if (status !== 0 || loop[0] === undefined) throw new Error(`napi_get_uv_event_loop failed with ${status}`)
  return loop[0]
}

/**
 * Keeps koffi's shared object mapped for the life of the process. When a worker was the only one to load it, Node
 * unmaps it as the worker ends, before libuv has run the close callback of koffi's handle, and the process dies of
 * SIGSEGV. Any callback of koffi's lies in that object; dladdr(3) names the file.
 */
function pinSharedObject(): void {
  const { koffi, process } = foreign()
  const probe = koffi.register(() => {}, koffi.pointer(koffi.proto('void ()')))
  const info = new BigUint64Array(DL_INFO_SIZE / 8)
  const dladdr = process.func('int dladdr(void *address, void *info)')
  const dlopen = process.func('void *dlopen(void *path, int flags)')
  const known: number = dladdr(probe, info)
  koffi.unregister(probe)
  if (known === 0) throw new Error('dladdr does not know the shared object of koffi')
  dlopen(info[0], RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE)
}
