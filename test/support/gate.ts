/** Tests that cannot be tried everywhere: what keeps them from running is printed. */

const printed = new Set<string>()

/**
 * For `describe.runIf` and `it.runIf`.
 *
 * @param reason why the tests are not tried here, or `null`
 */
export function isTried(reason: string | null): boolean {
  if (reason !== null && !printed.has(reason)) {
    printed.add(reason)
    console.info(`not tried: ${reason}`)
  }
  return reason === null
}
