/** FormData as multipart/form-data (RFC 7578, with the escapes of the HTML standard), of known length. */
import { randomUUID } from 'node:crypto'

/** What undici's FormData and Node's have in common. */
export type FormDataLike = Iterable<[name: string, value: string | Blob]>

export interface EncodedForm {
  contentType: string
  /** In bytes; `null` when a part does not know its own. */
  length: number | null
  chunks: AsyncIterable<Uint8Array>
}

/** One for each form: what is sent twice is announced once. */
export const newBoundary = (): string => `----formdata-${randomUUID()}`

export function encodeFormData(form: FormDataLike, boundary: string): EncodedForm {
  const parts: (Uint8Array | Blob)[] = []
  for (const [name, value] of form) {
    const disposition = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(normalize(name))}"`
    if (typeof value === 'string') {
      parts.push(Buffer.from(`${disposition}\r\n\r\n${normalize(value)}\r\n`))
    } else {
      const { name: filename } = value as Partial<File>
      const parameter = filename ? `; filename="${escapeName(filename)}"` : ''
      const type = value.type || 'application/octet-stream'
      parts.push(Buffer.from(`${disposition}${parameter}\r\nContent-Type: ${type}\r\n\r\n`))
      parts.push(value, Buffer.from('\r\n'))
    }
  }
  parts.push(Buffer.from(`--${boundary}--\r\n`))
  let length: number | null = 0
  for (const part of parts) {
    const size: unknown = part instanceof Uint8Array ? part.byteLength : part.size
    length = length === null || typeof size !== 'number' ? null : length + size
  }
  return { contentType: `multipart/form-data; boundary=${boundary}`, length, chunks: read(parts) }
}

async function* read(parts: readonly (Uint8Array | Blob)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Uint8Array) yield part
    else yield* part.stream() as unknown as AsyncIterable<Uint8Array>
  }
}

const normalize = (text: string): string => text.replace(/\r\n|\r|\n/g, '\r\n')

const escapeName = (text: string): string =>
  text.replace(/\r\n|\r|\n/g, (end) => encodeURIComponent(end)).replace(/"/g, '%22')
