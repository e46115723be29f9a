/** Forms of either FormData class as bytes (RFC 7578), compared with those of fetch. */
import { Response, FormData as UndiciFormData } from 'undici'
import { describe, expect, it } from 'vitest'
import { encodeFormData, type FormDataLike, newBoundary } from '../../src/request/multipart.js'

async function encoded(form: FormDataLike): Promise<{ text: string; length: number | null; actual: number }> {
  const { contentType, length, chunks } = encodeFormData(form, newBoundary())
  const boundary = contentType.slice('multipart/form-data; boundary='.length)
  const bytes: Uint8Array[] = []
  for await (const chunk of chunks) bytes.push(chunk)
  const body = Buffer.concat(bytes)
  return { text: body.toString().replaceAll(boundary, 'B'), length, actual: body.length }
}

async function encodedByUndici(form: UndiciFormData): Promise<string> {
  const response = new Response(form)
  const boundary = response.headers.get('content-type')!.split('boundary=')[1]!
  return (await response.text()).replaceAll(boundary, 'B')
}

type Entry = [name: string, value: string | Blob, filename?: string]

const entries: [what: string, entries: Entry[]][] = [
  ['nothing', []],
  [
    'texts',
    [
      ['a', 'b'],
      ['a', 'ä\nö\rü\r\n'],
    ],
  ],
  ['names to be escaped', [['q"\n\r\r\n', 'x']]],
  ['a Blob', [['blob', new Blob(['bytes'])]]],
  ['a Blob with a type and a name', [['blob', new Blob(['bytes'], { type: 'text/plain' }), 'na"me\n.txt']]],
  ['a file without a name', [['file', new Blob([]), '']]],
]

describe('encodeFormData', () => {
  it.each(entries)('encodes %s as undici does, and knows the length', async (_what, list) => {
    const form = new UndiciFormData()
    for (const [name, value, filename] of list) {
      if (typeof value === 'string') form.append(name, value)
      else if (filename === undefined) form.append(name, value)
      else form.append(name, value, filename)
    }
    const { text, length, actual } = await encoded(form)
    expect(text).toBe(await encodedByUndici(form))
    expect(length).toBe(actual)
  })

  it.each(entries)("encodes Node's own FormData with %s alike", async (_what, list) => {
    const forms = [new UndiciFormData(), new FormData()]
    for (const form of forms) {
      for (const [name, value, filename] of list) {
        if (typeof value === 'string') form.append(name, value)
        else if (filename === undefined) form.append(name, value)
        else form.append(name, value, filename)
      }
    }
    const [undici, node] = await Promise.all(forms.map((form) => encoded(form as FormDataLike)))
    expect(node).toEqual(undici)
  })

  it('knows no length when a part does not know its own', async () => {
    const part = { type: '', stream: () => new Blob(['abc']).stream() } as unknown as Blob
    const { text, length } = await encoded(new Map([['a', part]]))
    expect(length).toBeNull()
    expect(text).toContain('\r\n\r\nabc\r\n--B--')
  })
})
