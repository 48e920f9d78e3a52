/**
 * How long the nodes of a cluster wait for each other.
 *
 * A short time takes a slow node for a dead one, which costs a change of leadership and a copy; a long one leaves
 * sessions standing. A follower is given up before a leader: its removal costs less. Invariant: the smaller side of a
 * cut waits longer than the larger one needs to take over.
 */

/** Times of the protocol, in ms. */
export const clusterTimes = {
  /** A follower that is silent for so long is removed by its leader. */
  removeAfterMs: 1_000,
  /** A leader that is silent for so long is succeeded by a follower. */
  takeOverAfterMs: 1_500,
  /** What a node that sees fewer than half of all waits before any change, so that the larger side wins. */
  minorityMs: 3_000,
  /** How long a node that starts waits for the members of its rows. */
  startMs: 5_000,
  pollMs: 1_000,
  stepMs: 50,
  /** A step while all nodes are heard and nothing is under way: whatever changes that wakes the loop, except silence. */
  calmStepMs: 500,
  callMs: 5_000,
  positionsMs: 500,
  /** A hand-over that cannot drain within so long is given up: no session stands still for long. */
  drainMs: 150,
  /** So long a hand-over waits first for calls of timers that have been begun, while sessions go on: else they are made twice. */
  quiesceMs: 1_000,
  /** A partition does not go back to where it came from within so long. */
  restMs: 30_000,
} as const
