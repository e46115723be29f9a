/* A certificate for the upstream, made anew for each run. */

import { generate } from 'selfsigned'

/** @typedef {{ cert: string, key: string }} Certificate PEM */

/** @returns {Promise<Certificate>} */
export async function createCertificate() {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  return { cert, key }
}
