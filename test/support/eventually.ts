/** Tries until it succeeds: the one way tests wait. Fails with the last failure when the deadline has passed. */
export async function eventually<Result>(
  attempt: () => Result | Promise<Result>,
  deadlineMs = 15_000,
  intervalMs = 20,
): Promise<Result> {
  const untilMs = Date.now() + deadlineMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (Date.now() >= untilMs) throw error
      await new Promise(resolve => setTimeout(resolve, intervalMs))
    }
  }
}

/** Tries until the condition holds. */
export function eventuallyTrue(what: string, condition: () => boolean, deadlineMs?: number): Promise<void> {
  return eventually(() => {
    if (!condition()) throw new Error(`never happened: ${what}`)
  }, deadlineMs)
}
