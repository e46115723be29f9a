/**
 * The OpenSSL inside the node binary, whose functions Node exports to addons: those that a TLS client over a descriptor
 * needs, as one typed table.
 *
 * Every pointer is a number: an address of OpenSSL's own memory, which nobody but OpenSSL looks into. 0 is NULL. Nothing
 * here runs JavaScript, nor may any of it be called asynchronously: the error queue is the calling thread's.
 *
 * The functions read and write descriptors with read(2) and write(2), so that a peer which has gone would raise SIGPIPE;
 * Node ignores that signal from its start on, for its own sockets have no other protection either.
 */
import { endHooks } from './environment-end.js'
import { foreign, type Memory } from './native.js'

/** An address of something of OpenSSL's. */
export type Pointer = number

/** The functions, by OpenSSL's names without their prefixes' underscores; what they return is in its man pages. */
export interface OpenSsl {
  /** OpenSSL_version(3). */
  version(what: number): string
  // SSL_CTX
  contextControl(context: Pointer, command: number, value: number, pointer: Pointer): number
  contextSetOptions(context: Pointer, options: number): number
  contextSetVerify(context: Pointer, mode: number, callback: Pointer): void
  contextStore(context: Pointer): Pointer
  /** SSL_CTX_set_default_read_buffer_len(3). */
  contextSetReadBuffer(context: Pointer, length: number): void
  contextSetAlpn(context: Pointer, protocols: Memory, length: number): number
  // SSL
  /** SSL_new(3); what is not freed before that is freed when this thread's environment ends. */
  create(context: Pointer): Pointer
  free(ssl: Pointer): void
  /** SSL_set0_rbio(3): the BIO is the connection's from now on. */
  setReadBio(ssl: Pointer, bio: Pointer): void
  setWriteBio(ssl: Pointer, bio: Pointer): void
  setConnectState(ssl: Pointer): void
  /** SSL_set_tlsext_host_name(3). */
  setHostName(ssl: Pointer, command: number, type: number, name: string): number
  /** SSL_ctrl(3), for commands that write an address. */
  control(ssl: Pointer, command: number, value: number, destination: BigUint64Array): number
  handshake(ssl: Pointer): number
  read(ssl: Pointer, address: number, length: number): number
  hasPending(ssl: Pointer): number
  peek(ssl: Pointer, buffer: Memory, length: number): number
  write(ssl: Pointer, buffer: Memory, length: number): number
  error(ssl: Pointer, result: number): number
  setShutdown(ssl: Pointer, mode: number): void
  shutdown(ssl: Pointer): number
  protocol(ssl: Pointer): string
  selectedAlpn(ssl: Pointer, data: BigUint64Array, length: Uint32Array): void
  verifyResult(ssl: Pointer): number
  currentCipher(ssl: Pointer): Pointer
  cipherName(cipher: Pointer): string
  cipherStandardName(cipher: Pointer): string
  cipherVersion(cipher: Pointer): string
  // SSL_SESSION
  setSession(ssl: Pointer, session: Pointer): number
  takeSession(ssl: Pointer): Pointer
  isReused(ssl: Pointer): number
  isResumable(session: Pointer): number
  freeSession(session: Pointer): void
  /** From now on it is freed with the thread, too. It must not be kept already. */
  keepSession(session: Pointer): void
  freeKeptSession(session: Pointer): void
  // X509 and EVP_PKEY
  peerCertificate(ssl: Pointer): Pointer
  /** i2d_X509(3). */
  encodeCertificate(certificate: Pointer, destination: BigUint64Array | null): number
  /** SSL_get_peer_cert_chain(3): what the peer has sent, its own certificate first; the connection's. */
  peerChain(ssl: Pointer): Pointer
  stackSize(stack: Pointer): number
  stackItem(stack: Pointer, index: number): Pointer
  /** X509_check_issued(3). */
  isIssuer(issuer: Pointer, certificate: Pointer): number
  freeCertificate(certificate: Pointer): void
  newStoreContext(): Pointer
  initStoreContext(storeContext: Pointer, store: Pointer, certificate: Pointer, chain: Pointer): number
  /** X509_STORE_CTX_get1_issuer(3). */
  takeIssuer(issuer: BigUint64Array, storeContext: Pointer, certificate: Pointer): number
  freeStoreContext(storeContext: Pointer): void
  keyType(key: Pointer): number
  keyBits(key: Pointer): number
  freeKey(key: Pointer): void
  // ERR and BIO
  peekError(): number
  clearErrors(): void
  /** ERR_print_errors(3), which empties the queue. */
  printErrors(bio: Pointer): void
  libraryOfError(error: number): string | null
  reasonOfError(error: number): string | null
  newMemoryBio(): Pointer
  /** BIO_new_socket(3). */
  newSocketBio(fd: number, closes: number): Pointer
  readBio(bio: Pointer, buffer: Memory, length: number): number
  freeBio(bio: Pointer): void
  /** memcpy(3), out of OpenSSL's memory. */
  copy(destination: Memory, source: Pointer, length: number): void
  /** The address of a function that takes no arguments and always says 1: BIO_sock_init(3) on Unix. */
  readonly alwaysOne: Pointer
}

/** Major versions of Node.js whose OpenSSL is known: what test/matrix tries. */
const KNOWN_MAJORS: readonly string[] = ['20', '22', '24', '26']

/** OpenSSL_version(3): the text that names the library and its version. */
const OPENSSL_VERSION = 0

let opensslOnce: OpenSsl | undefined

/**
 * The function table, built once per thread.
 *
 * @throws where koffi cannot be loaded, where the OpenSSL is not the one that this Node.js was built with, and where that
 *   is not known or lacks a function
 */
export function openssl(): OpenSsl {
  opensslOnce ??= bindOpenSsl()
  return opensslOnce
}

/** What of a process says which OpenSSL it has: parts of `process`. */
export interface OpenSslFacts {
  versions: Readonly<Record<string, string | undefined>>
  features: { readonly openssl_is_boringssl?: boolean }
  variables: { readonly node_shared_openssl?: unknown }
}

/** @returns why the OpenSSL of a process is none that is known; `null` where it is */
export function whyUnknown({ versions, features, variables }: OpenSslFacts): string | null {
  const { node = '', openssl: version = '', electron, bun } = versions
  if (electron !== undefined || bun !== undefined) return 'this is not Node.js alone'
  const [major = ''] = node.split('.')
  if (!KNOWN_MAJORS.includes(major)) return `Node.js ${major} is not known`
  if (features.openssl_is_boringssl === true) return 'this Node.js has BoringSSL'
  if (variables.node_shared_openssl !== false) return 'the OpenSSL of this Node.js is not its own'
  return version.startsWith('3.') ? null : `OpenSSL ${version} is not known`
}

function bindOpenSsl(): OpenSsl {
  const { versions, config } = globalThis.process
  const features = globalThis.process.features as OpenSslFacts['features']
  const reason = whyUnknown({ versions, features, variables: config.variables as OpenSslFacts['variables'] })
  if (reason !== null) throw new Error(reason)
  const table = functionTable()
  // Another one may have been loaded before the binary (LD_PRELOAD).
  const found = table.version(OPENSSL_VERSION)
  const [expected] = (versions as { openssl: string }).openssl.split('+')
  if (!found.startsWith(`OpenSSL ${expected} `)) throw new Error(`${found} is not OpenSSL ${expected}`)
  return table
}

/** @throws where a function is missing */
function functionTable(): OpenSsl {
  const { process } = foreign()
  const pointer = 'uintptr_t'
  const text = 'const char *'
  const memory = 'void *'
  const bytes = 'const void *'
  const newBio = process.func('BIO_new', pointer, [pointer])
  const memoryBio = process.func('BIO_s_mem', pointer, [])
  const newSsl = process.func('SSL_new', pointer, [pointer])
  const freeSsl = process.func('SSL_free', 'void', [pointer])
  const freeSession = process.func('SSL_SESSION_free', 'void', [pointer])
  const connections = endHooks('SSL_free')
  const sessions = endHooks('SSL_SESSION_free')
  return {
    version: process.func('OpenSSL_version', text, ['int']),
    contextControl: process.func('SSL_CTX_ctrl', 'long', [pointer, 'int', 'long', pointer]),
    contextSetOptions: process.func('SSL_CTX_set_options', 'uint64_t', [pointer, 'uint64_t']),
    contextSetVerify: process.func('SSL_CTX_set_verify', 'void', [pointer, 'int', pointer]),
    contextStore: process.func('SSL_CTX_get_cert_store', pointer, [pointer]),
    contextSetReadBuffer: process.func('SSL_CTX_set_default_read_buffer_len', 'void', [pointer, 'size_t']),
    contextSetAlpn: process.func('SSL_CTX_set_alpn_protos', 'int', [pointer, bytes, 'unsigned int']),
    create(context) {
      const ssl = newSsl(context)
      if (ssl !== 0) connections.hook(connections.env, connections.call, ssl)
      return ssl
    },
    free(ssl) {
      connections.unhook(connections.env, connections.call, ssl)
      freeSsl(ssl)
    },
    setReadBio: process.func('SSL_set0_rbio', 'void', [pointer, pointer]),
    setWriteBio: process.func('SSL_set0_wbio', 'void', [pointer, pointer]),
    setConnectState: process.func('SSL_set_connect_state', 'void', [pointer]),
    setHostName: process.func('SSL_ctrl', 'long', [pointer, 'int', 'long', text]),
    control: process.func('SSL_ctrl', 'long', [pointer, 'int', 'long', memory]),
    handshake: process.func('SSL_do_handshake', 'int', [pointer]),
    read: process.func('SSL_read', 'int', [pointer, pointer, 'int']),
    hasPending: process.func('SSL_has_pending', 'int', [pointer]),
    peek: process.func('SSL_peek', 'int', [pointer, memory, 'int']),
    write: process.func('SSL_write', 'int', [pointer, bytes, 'int']),
    error: process.func('SSL_get_error', 'int', [pointer, 'int']),
    setShutdown: process.func('SSL_set_shutdown', 'void', [pointer, 'int']),
    shutdown: process.func('SSL_shutdown', 'int', [pointer]),
    protocol: process.func('SSL_get_version', text, [pointer]),
    selectedAlpn: process.func('SSL_get0_alpn_selected', 'void', [pointer, memory, memory]),
    verifyResult: process.func('SSL_get_verify_result', 'long', [pointer]),
    currentCipher: process.func('SSL_get_current_cipher', pointer, [pointer]),
    cipherName: process.func('SSL_CIPHER_get_name', text, [pointer]),
    cipherStandardName: process.func('SSL_CIPHER_standard_name', text, [pointer]),
    cipherVersion: process.func('SSL_CIPHER_get_version', text, [pointer]),
    setSession: process.func('SSL_set_session', 'int', [pointer, pointer]),
    takeSession: process.func('SSL_get1_session', pointer, [pointer]),
    isReused: process.func('SSL_session_reused', 'int', [pointer]),
    isResumable: process.func('SSL_SESSION_is_resumable', 'int', [pointer]),
    freeSession,
    keepSession(session) {
      sessions.hook(sessions.env, sessions.call, session)
    },
    freeKeptSession(session) {
      sessions.unhook(sessions.env, sessions.call, session)
      freeSession(session)
    },
    peerCertificate: process.func('SSL_get0_peer_certificate', pointer, [pointer]),
    encodeCertificate: process.func('i2d_X509', 'int', [pointer, memory]),
    peerChain: process.func('SSL_get_peer_cert_chain', pointer, [pointer]),
    stackSize: process.func('OPENSSL_sk_num', 'int', [pointer]),
    stackItem: process.func('OPENSSL_sk_value', pointer, [pointer, 'int']),
    isIssuer: process.func('X509_check_issued', 'int', [pointer, pointer]),
    freeCertificate: process.func('X509_free', 'void', [pointer]),
    newStoreContext: process.func('X509_STORE_CTX_new', pointer, []),
    initStoreContext: process.func('X509_STORE_CTX_init', 'int', [pointer, pointer, pointer, pointer]),
    takeIssuer: process.func('X509_STORE_CTX_get1_issuer', 'int', [memory, pointer, pointer]),
    freeStoreContext: process.func('X509_STORE_CTX_free', 'void', [pointer]),
    keyType: process.func('EVP_PKEY_get_id', 'int', [pointer]),
    keyBits: process.func('EVP_PKEY_get_bits', 'int', [pointer]),
    freeKey: process.func('EVP_PKEY_free', 'void', [pointer]),
    // An unsigned long, of which OpenSSL 3 uses 32 bits.
    peekError: process.func('ERR_peek_error', 'uint32_t', []),
    clearErrors: process.func('ERR_clear_error', 'void', []),
    printErrors: process.func('ERR_print_errors', 'void', [pointer]),
    libraryOfError: process.func('ERR_lib_error_string', text, ['unsigned long']),
    reasonOfError: process.func('ERR_reason_error_string', text, ['unsigned long']),
    newMemoryBio: () => newBio(memoryBio()),
    newSocketBio: process.func('BIO_new_socket', pointer, ['int', 'int']),
    readBio: process.func('BIO_read', 'int', [pointer, memory, 'int']),
    freeBio: process.func('BIO_free', 'void', [pointer]),
    copy: process.func('memcpy', 'void', [memory, pointer, 'size_t']),
    alwaysOne: Number(process.symbol('BIO_sock_init')),
  }
}
