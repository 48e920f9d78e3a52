/**
 * The state of a cluster as it is shown: by `ring status`, on the dashboard's cluster page, and to programs. Types
 * alone, since the browser reads them too.
 *
 * It is put together from what each node says of itself at about the same moment. So two parts of it may disagree for
 * an instant while partitions move; who is right is decided by epochs, never by this.
 */

/** What one node says of itself. */
export interface NodeReport {
  /** Of the package. */
  readonly version: string
  /** Grows with each start of the node. */
  readonly boot: number
  /** Why no work should be sent to it; empty when it is ready. */
  readonly notReady: readonly string[]
  /** Sockets it holds. */
  readonly hosts: number
  readonly clients: number
  /** History that is not in Postgres yet. */
  readonly outboxRows: number
  /** Things found damaged on its disk and set aside. */
  readonly damages: number
  /** Partitions it leads whose writes it refuses, since those who must have a copy do not answer. */
  readonly refusing: number
  /** Partitions that stand still since the database was set back to an older state. */
  readonly rewound: number
}

/** What the asked node knows first-hand of another one's process. */
export type NodeCondition = 'self' | 'connected' | 'refused' | 'silent'

export interface NodeStatus {
  readonly id: string
  /** Where gossip reaches it; null where that is not known. */
  readonly address: string | null
  readonly condition: NodeCondition
  /** Ms since something was heard of it; null: never. */
  readonly heardMsAgo: number | null
  /** Gossip believes it alive. */
  readonly isMember: boolean
  /** Null when it did not answer in time. */
  readonly report: NodeReport | null
  /** Partitions it leads and answers for. */
  readonly serves: number
  /** Partitions of others it holds a copy of. */
  readonly copies: number
  /** Commits by which the slowest copy of what it serves is behind, at most. */
  readonly lag: number
}

export interface PartitionPlace {
  readonly partition: number
  readonly epoch: number
  /** The node that leads it by the configuration; null where its store is not known any more. */
  readonly owner: string | null
  readonly replicas: readonly (string | null)[]
  /** The node that says that it serves it; null: nobody that answered. */
  readonly servedBy: string | null
  /** Number of its last commit, and how many of them the slowest copy lacks; null without a node that serves it. */
  readonly seq: number | null
  readonly lag: number | null
}

export interface ClusterStatus {
  /** The node that was asked. */
  readonly node: string
  /** False: a node alone, without a ring. */
  readonly isCluster: boolean
  /** Copies wanted of each partition, the leader's included. */
  readonly factor: number
  readonly nodes: readonly NodeStatus[]
  readonly partitions: readonly PartitionPlace[]
  /** Partitions with fewer copies than wanted. */
  readonly degraded: number
  /** Copies missing in all. */
  readonly copiesMissing: number
  /** Partitions that no node that answered serves. */
  readonly unserved: number
  /** What is not as it should be, a sentence each. */
  readonly problems: readonly string[]
}

/** Where one entity is looked after. */
export interface EntityPlace {
  readonly partition: number
  readonly epoch: number
  /** The node that leads the partition. */
  readonly node: string
  readonly address: string | null
  readonly replicas: readonly (string | null)[]
}
