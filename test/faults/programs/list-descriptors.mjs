/** Prints what its descriptors refer to, one a line. */
import { readdirSync, readlinkSync } from 'node:fs'

for (const fd of readdirSync('/proc/self/fd')) {
  try {
    console.log(readlinkSync(`/proc/self/fd/${fd}`))
  } catch {
    // The directory's own descriptor is gone once it was read.
  }
}
