/*
 * A certificate authority as a company has its own, and a certificate for 127.0.0.1 that it has signed.
 */

import { generate } from 'selfsigned'

/** @returns {Promise<{ ca: string, key: string, cert: string }>} all of them PEM */
export async function createCertificates() {
  const authority = await generate([{ name: 'commonName', value: 'Example Authority' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  })
  const { private: key, cert } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'extKeyUsage', serverAuth: true },
      // 7 is an IP address (RFC 5280 4.2.1.6).
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  })
  return { ca: authority.cert, key, cert }
}
