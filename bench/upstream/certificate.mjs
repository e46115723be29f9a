/* A certificate for the upstream, made anew for each run, which is its own authority. */

import { generate } from 'selfsigned'

/** @typedef {{ cert: string, key: string }} Certificate PEM */

/** @returns {Promise<Certificate>} */
export async function createCertificate() {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  return { cert, key }
}
