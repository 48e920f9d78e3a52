/**
 * How long things take in gossip, in ms. A node that stalls for 1.5 s keeps its place; one that is killed is noticed by
 * its connections, long before gossip gives it up.
 */
export const gossipTimes = {
  /** Between two pings, while the membership changes. */
  periodMs: 200,
  /** And when it has not changed for `calmAfterMs`: then a ping has nothing to tell. */
  calmPeriodMs: 1_000,
  calmAfterMs: 10_000,
  pingMsMax: 500,
  indirectPingMsMax: 1_000,
  /** From suspected to given up. */
  suspectMs: 1_500,
  healerPeriodMs: 1_000,
} as const
