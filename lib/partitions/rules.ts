/**
 * The rules of replication that a test can switch off, to see that the simulation notices. See the protocol's sources in
 * `leadership.ts` and `replication.ts`; each name says what is no longer done.
 */
export interface RulesOff {
  /** A follower takes a commit whatever came before it. */
  readonly predecessor?: boolean
  /** Reads do not ask the followers whether a newer leader is known. */
  readonly confirm?: boolean
  /** A commit is acknowledged as soon as it is on the leader's disk. */
  readonly followersFirst?: boolean
  /** Whoever takes over leads all that can be reached, without comparing who has what, by number or by hash. */
  readonly positions?: boolean
  /** Messages of leaders that were replaced are taken. */
  readonly epochs?: boolean
  /** A dead follower is no longer waited for before its removal is known. */
  readonly removalKnown?: boolean
  /** A follower joins the row as soon as its snapshot is complete, without what was written meanwhile. */
  readonly caughtUp?: boolean
  /** A wiped disk counts as the one that was there before. */
  readonly storeIdentity?: boolean
  /** A start goes on under the epoch before. */
  readonly raisedEpoch?: boolean
  /** Rows that are older than what was seen are followed. */
  readonly setBack?: boolean
  /** A node that is not heard at this moment is dead. */
  readonly evidence?: boolean
  /** A node that sees fewer than half of all changes rows at once. */
  readonly majority?: boolean
  /** A node that starts keeps what its rows give it without asking where the others stand. */
  readonly asksAtStart?: boolean
  /** Copies that are missing are not made. */
  readonly restored?: boolean
  /** A hand-over does not wait for what is being worked on. */
  readonly drained?: boolean
  /** Each node has the time of its own wall clock. */
  readonly nodeTime?: boolean
}
