/** Constants of OpenSSL's headers, which its major version 3 keeps: ssl.h, tls1.h, bio.h, x509_vfy.h, evp.h. */

// Commands of SSL_ctrl and SSL_CTX_ctrl, which the macros of these names stand for.
export const SSL_CTRL_MODE = 33
export const SSL_CTRL_SET_READ_AHEAD = 41
export const SSL_CTRL_SET_SESS_CACHE_MODE = 44
export const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55
export const SSL_CTRL_CLEAR_MODE = 78
export const SSL_CTRL_GET_PEER_TMP_KEY = 109

export const SSL_SESS_CACHE_OFF = 0
export const SSL_VERIFY_NONE = 0
export const TLSEXT_NAMETYPE_host_name = 0

export const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2
export const SSL_MODE_AUTO_RETRY = 0x4
export const SSL_MODE_RELEASE_BUFFERS = 0x10

export const SSL_OP_IGNORE_UNEXPECTED_EOF = 2 ** 7
export const SSL_OP_NO_RENEGOTIATION = 2 ** 30
/** Unknown, and without effect, before OpenSSL 3.2. */
export const SSL_OP_NO_RX_CERTIFICATE_COMPRESSION = 2 ** 33

// Answers of SSL_get_error(3).
export const SSL_ERROR_WANT_READ = 2
export const SSL_ERROR_WANT_WRITE = 3
export const SSL_ERROR_SYSCALL = 5
export const SSL_ERROR_ZERO_RETURN = 6

export const SSL_SENT_AND_RECEIVED_SHUTDOWN = 3

export const BIO_NOCLOSE = 0
export const X509_V_OK = 0
export const EVP_PKEY_DH = 28

/** The most bytes that a record carries (RFC 8446 5.1). */
export const MAX_RECORD_SIZE = 16_384
