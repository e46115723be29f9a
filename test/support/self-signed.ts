/** A certificate for `localhost` and the loopback addresses, made for the tests of one file. */
import { generate } from 'selfsigned'

export interface SelfSigned {
  key: string
  cert: string
}

export async function selfSigned(): Promise<SelfSigned> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  })
  return { key, cert }
}
