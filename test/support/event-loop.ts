/** How busy this thread's event loop is. */

/** How often the loop has gone round. */
export const loopCount = (): number => performance.nodeTiming.uvMetricsInfo.loopCount

/** How often the loop goes round while nothing but one timer is due. */
export async function roundsWithin(ms: number): Promise<number> {
  const first = loopCount()
  await new Promise((resolve) => setTimeout(resolve, ms))
  return loopCount() - first
}

/** The fewest rounds of three such times: the test runner has work of its own now and then, a busy loop has always. */
export async function roundsAtRest(ms: number): Promise<number> {
  const rounds = []
  for (let i = 0; i < 3; i++) rounds.push(await roundsWithin(ms))
  return Math.min(...rounds)
}
