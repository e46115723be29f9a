/** Both agents keep the promises that no transcript shows. */
import { describe, it } from 'vitest'
import { dispatchers } from '../support/dispatchers.js'
import { styles } from '../support/handlers.js'
import { PROMISES } from './promises.js'
import { undiciMajor } from './twin.js'

describe.each(dispatchers)('%s', (name, make) => {
  for (const [promise, check] of Object.entries(PROMISES)) {
    for (const style of styles) {
      const isRefused = undiciMajor === 8 && style === 'legacy' && name !== 'RecyclingAgent'
      if (isRefused) it.skip(`${promise} (${style} handler): undici 8 refuses legacy handlers`)
      else it(`${promise} (${style} handler)`, () => check(make, style))
    }
  }
})
