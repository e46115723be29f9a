/** Where the command writes to: colours and progress for terminals only. */
import { styleText } from 'node:util'

/** As much of `process.stdout` as is used. */
export interface Stream {
  write(text: string): unknown
  isTTY?: boolean
  /** Knows of NO_COLOR and its like. */
  hasColors?(): boolean
}

export interface Output {
  stdout: Stream
  stderr: Stream
}

type Style = 'green' | 'yellow' | 'red' | 'bold' | 'dim'

/** Colours text for one stream, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

export function painter(stream: Stream): Paint {
  if (stream.isTTY !== true || stream.hasColors?.() !== true) return (_style, text) => text
  // Whether the stream has colours has been asked; by default it would be asked of stdout.
  return (style, text) => styleText(style, text, { validateStream: false })
}

const ERASE_LINE = '\r\x1b[K'

/** One line that is written over, and nothing where nobody watches. */
export class Progress {
  readonly #stream: Stream
  #isShown = false

  constructor(stream: Stream) {
    this.#stream = stream
  }

  show(text: string): void {
    if (this.#stream.isTTY !== true) return
    this.#stream.write(`${ERASE_LINE}${text}`)
    this.#isShown = true
  }

  clear(): void {
    if (this.#isShown) this.#stream.write(ERASE_LINE)
    this.#isShown = false
  }
}

/** Rows of cells, each column as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}

/** Words in lines of at most `width` characters. */
export function wrap(text: string, width = 100): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line += line === '' ? word : ` ${word}`
  }
  return [...lines, line]
}
