/** The races of the soak. Argument: {@link RacesOptions} as JSON. Sends a {@link RacesReport}. */
import { races } from '../races.js'

const report = await races(JSON.parse(process.argv[2]!))
process.send!(report, () => process.exit())
