/**
 * The other nodes, as everything above the ring sees them: who they are, whether they live, and how to call one.
 *
 * Replication is written against this interface alone, so that a whole cluster also runs in one process over an
 * invented network. Invariants every implementation keeps: between one pair of process lives, messages reach their
 * handler in the order they were sent, each at most once; a call has one reply or rejects. What can go wrong is
 * everything else: a rejected call may or may not have been executed, and a silent peer may be dead, paused or cut
 * off. Only `refused` says that the process is gone.
 */
import type { NodeId } from '../ids.js'

/** One process life of one store of one node. */
export interface PeerIdentity {
  readonly nodeId: NodeId
  /** Lives inside the node's store: another store id is another member. */
  readonly storeId: string
  /** Grows with each start of the process. */
  readonly boot: number
}

/** An identity and where it is reached, both as `address:port` (IPv6 in brackets). */
export interface Member extends PeerIdentity {
  /** Gossip. */
  readonly channelAddress: string
  /** Calls and beacons. */
  readonly forwardAddress: string
}

/** What is known first-hand about a peer's process. Times are this node's clock, in ms. */
export type PeerCondition =
  /** The last beacon or message came at `heardAtMs`, on a connection that stands. */
  | { readonly kind: 'connected'; readonly heardAtMs: number }
  /** The connection is lost and a fresh connect was refused (ECONNREFUSED): the process is gone. */
  | { readonly kind: 'refused'; readonly sinceMs: number }
  /**
   * Anything else: resets, timeouts, never connected. `heardAtMs` is -Infinity when it was never heard; `problem` says in
   * words for people why the last attempt to connect has failed, if it has.
   */
  | { readonly kind: 'silent'; readonly heardAtMs: number; readonly problem?: string }

/** Answers one message. A thrown `AppError` reaches the caller with its code and message, anything else as `internal`. */
export type CallHandler = (from: Member, body: Buffer) => Promise<Buffer> | Buffer

/** What a node's metrics show of its peers. All count from the start of the process. */
export interface PeerCounters {
  /** Messages (calls and replies) given to the channel. */
  readonly sent: number
  /** Messages (calls and replies) taken from it. */
  readonly received: number
  /** Frames of messages written; `sent / batches` is how well they were gathered. */
  readonly batches: number
  /** Connections that failed to prove the cluster secret, in either direction. */
  readonly refusedConnections: number
  /** Connections lost after they stood. */
  readonly resets: number
}

export interface Peers {
  readonly self: Member
  /** Members that gossip believes alive and whose identity is known, self included, sorted by nodeId. */
  members(): readonly Member[]
  /** Called after each change of `members()`; returns how to stop that. */
  onMembers(handler: (members: readonly Member[]) => void): () => void
  /**
   * One message to one peer (also one that gossip has given up: by its last known address, or an address given by
   * `learn`). Rejects with an `AppError`: the handler's own, or `timeout`, `unavailable` (the connection was lost or
   * refused: may or may not have been executed), `queue-full` or `too-large` (both: certainly not executed).
   */
  call(to: NodeId, kind: string, body: Buffer, deadlineMs: number): Promise<Buffer>
  /**
   * Rejects all calls that wait for peers which have fallen silent, with `unavailable`: whoever they were for is another
   * one by now, and need not be asked only when a deadline has passed.
   */
  abandonSilent(): void
  /** The handler of one kind of message. Given once per kind, before `start`. */
  onCall(kind: string, handler: CallHandler): void
  /** Addresses known from elsewhere (the registry in Postgres). */
  learn(members: readonly Member[]): void
  condition(nodeId: NodeId): PeerCondition
  /** Who answers where a member was last known to be; undefined when nobody does within a second. After `start`. */
  whoIs(member: Member): Promise<Member | undefined>
  /** A peer turned refused, or came back. Silence is for the caller to judge by `condition`. */
  onCondition(handler: (nodeId: NodeId, condition: PeerCondition) => void): () => void
  /**
   * What this node answers the others' beacons with, e.g. node time. A peer asks for it every 500 ms; for a mere sign of
   * life it asks every 200 ms in which it has heard nothing from this node.
   */
  setBeacon(body: () => Buffer): void
  /** Each answer to a beacon of this node: what the peer attached, and how long there and back took, in ms. */
  onBeacon(handler: (from: Member, body: Buffer, roundTripMs: number) => void): void
  /** Rejects when a port cannot be listened on. Never waits for other nodes. */
  start(): Promise<void>
  /** Tells the others that this node leaves (gossip), keeps the data channel open. */
  leave(): Promise<void>
  stop(): Promise<void>
  readonly counters: PeerCounters
}
