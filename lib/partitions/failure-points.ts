/**
 * Named points in the path of a commit at which a test can stop or kill the node, exactly between two steps.
 *
 * Without a test the runtime is given none and pays one comparison with undefined per point. A point that returns a
 * promise holds the path there until it resolves; one that throws makes the step fail.
 */
export const failurePointNames = [
  /** The batch is complete and numbered; nothing is on disk. */
  'commit.before-write',
  /** The batch is on disk; nobody has been told. */
  'commit.after-write',
  /** A message was decided, its commit is queued. */
  'decision.after-decide',
  /** The commit is on disk, the reply is about to be given to the caller. */
  'reply.before-send',
  /** An effect is about to be given to its dispatcher. */
  'effect.before-dispatch',
  /** The target confirmed an effect; its record is still there. */
  'effect.after-confirm',
  /** History rows are in Postgres; their marks are still there. */
  'history.after-write',
] as const

export type FailurePointName = (typeof failurePointNames)[number]

export interface FailurePoints {
  reach(name: FailurePointName): void | Promise<void>
}

/**
 * Parses `name[:count]` as given in INTERVAL_FAILPOINT: the `count`-th time (1 by default) the point is reached, `kill`
 * is called. By default that is SIGKILL to this process, which no handler can soften. `name:delay=ms` holds the path there
 * for so long each time instead: at `commit.before-write`, that is a slow disk.
 * @throws Error naming the known points when the text is not understood
 */
export function parseFailurePoints(
  text: string | undefined,
  kill: () => void = () => process.kill(process.pid, 'SIGKILL'),
): FailurePoints | undefined {
  if (text === undefined || text === '') return undefined
  const [name, countText = '1', ...rest] = text.split(':')
  const delayMs = Number(/^delay=(\d{1,6})$/.exec(countText)?.[1])
  const isDelay = delayMs > 0 && rest.length === 0
  const count = isDelay ? 1 : Number(countText)
  if (
    !failurePointNames.some(known => known === name) ||
    rest.length > 0 ||
    !Number.isSafeInteger(count) ||
    count < 1
  ) {
    throw new Error(
      `INTERVAL_FAILPOINT must be NAME, NAME:COUNT or NAME:delay=MS, with NAME one of ${failurePointNames.join(', ')}`,
    )
  }
  if (isDelay) {
    return {
      reach: reached =>
        reached === name ? new Promise<void>(resolve => setTimeout(resolve, delayMs)) : undefined,
    }
  }
  let left = count
  return {
    reach(reached) {
      if (reached !== name) return
      left -= 1
      if (left === 0) kill()
    },
  }
}
