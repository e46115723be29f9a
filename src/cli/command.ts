/** The command: what it prints, and the exit status. */
import { type Load, parseCommand, USAGE } from './arguments.js'
import { Failure } from './failure.js'
import { find } from './findings.js'
import { type Measurement, measure } from './measurement.js'
import { type Output, Progress, painter } from './output.js'
import { ownVersion } from './packages.js'
import { printFindings } from './print-findings.js'
import { announcement, printMeasurement } from './print-measurement.js'

/** Exit statuses. */
const FINE = 0
const NOT_RECYCLED = 1
const NOT_FOUND_OUT = 2

/** @param argv without the program. @returns the exit status; nothing is thrown but for faults of this package */
export async function runCommand(argv: readonly string[], output: Output): Promise<number> {
  try {
    const command = parseCommand(argv)
    switch (command.kind) {
      case 'help':
        output.stdout.write(USAGE)
        return FINE
      case 'version':
        output.stdout.write(`${ownVersion()}\n`)
        return FINE
      case 'report':
        return await report(command.isJson, output)
      case 'measurement':
        return await measureAloud(command.load, command.isJson, output)
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    output.stderr.write(`recycling-agent: ${error.message}\n`)
    return NOT_FOUND_OUT
  }
}

const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

async function report(isJson: boolean, { stdout }: Output): Promise<number> {
  const findings = await find()
  stdout.write(isJson ? asJson(findings) : printFindings(findings, painter(stdout)))
  return findings.isRecycling ? FINE : NOT_RECYCLED
}

async function measureAloud(load: Load, isJson: boolean, { stdout, stderr }: Output): Promise<number> {
  const informed = isJson ? stderr : stdout
  informed.write(announcement(load))
  const progress = new Progress(stderr)
  let measurement: Measurement
  try {
    progress.show('looking at the upstream')
    measurement = await measure(load, {
      onRound: ({ title }, done, all) => progress.show(`${done} of ${all} requests, now with ${title}`),
    })
  } finally {
    progress.clear()
  }
  stdout.write(isJson ? asJson(measurement) : printMeasurement(measurement, painter(stdout)))
  return FINE
}
