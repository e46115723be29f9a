/** Faults in the bytes of TLS connections, in a process of its own. Argument: a {@link RecordsOrder} as JSON. Sends its report. */
import { contenders } from '../../twin-tls/contenders.js'
import { fuzzRecords, type RecordFuzzOptions, type RecordFuzzReport } from '../../twin-tls/record-fuzz.js'

export type RecordsOrder = Omit<RecordFuzzOptions, 'contender'>

const order: RecordsOrder = JSON.parse(process.argv[2]!)
const [contender] = contenders
const report: RecordFuzzReport = await fuzzRecords({ ...order, contender: contender! })
process.send!(report, () => process.exit())
