/** A share of the fuzzer, in a process of its own. Argument: its options as JSON. Sends its report. */
import { type FuzzReport, fuzz } from '../fuzz.js'

const options = JSON.parse(process.argv[2]!)
const onProgress = (done: number): void => console.log(`fuzz from ${options.first}: ${done} cases`)
const report: FuzzReport = await fuzz({ ...options, onProgress })
process.send!(report, () => process.exit())
