/** How long things take in gossip, in ms. */
export interface GossipTimes {
  readonly protocolPeriodMs: number
  readonly pingMsMax: number
  readonly indirectPingMsMax: number
  /** From suspected to given up. */
  readonly suspectMs: number
  readonly healerPeriodMs: number
}

/** A node that stalls for 1.5 s keeps its place; a killed one is given up after 1.8 s. */
export const gossipTimes: GossipTimes = {
  protocolPeriodMs: 200,
  pingMsMax: 500,
  indirectPingMsMax: 1_000,
  suspectMs: 1_500,
  healerPeriodMs: 1_000,
}

/** For tests of fail-over: given up after 0.8 to 1.1 s. */
export const fastGossipTimes: GossipTimes = {
  protocolPeriodMs: 100,
  pingMsMax: 300,
  indirectPingMsMax: 600,
  suspectMs: 750,
  healerPeriodMs: 1_000,
}
