/** The command, run in this process, and what it has written. */
import { runCommand } from '../../src/cli/command.js'
import type { Stream } from '../../src/cli/output.js'

/** A stream that keeps what is written to it. */
export class Collected implements Stream {
  text = ''
  readonly isTTY: boolean

  constructor(isTTY = false) {
    this.isTTY = isTTY
  }

  write(text: string): void {
    this.text += text
  }

  hasColors(): boolean {
    return this.isTTY
  }
}

export interface Ran {
  status: number
  stdout: string
  stderr: string
}

/** @param isTTY both streams are terminals with colours */
export async function run(argv: string[], isTTY = false): Promise<Ran> {
  const [stdout, stderr] = [new Collected(isTTY), new Collected(isTTY)]
  const status = await runCommand(argv, { stdout, stderr })
  return { status, stdout: stdout.text, stderr: stderr.text }
}
