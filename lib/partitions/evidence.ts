/**
 * What this node knows first-hand of the others: which are registered, which of them answer, and whether they are
 * enough.
 *
 * Placement follows gossip, but nobody is declared dead on hearsay: a store is dead when a fresh connection to its node
 * was refused, when nothing was heard of it for long enough, or when its node has another store now. Silence counts from
 * this node's own start, since before that it could not hear anyone.
 *
 * Invariant: a node that sees fewer than half of all changes no row before the larger side had time to. What can go
 * wrong: the evidence is right for this node alone, which is cut off. Then the larger side is first, and the changes of
 * this one find rows that are not what they were.
 */
import type { NodeId } from '../ids.js'
import type { Log } from '../log.js'
import type { Peers } from '../ring/index.js'
import type { Clock } from './clock.js'
import { clusterTimes } from './cluster-times.js'
import type { RegisteredNode, StoreId } from './configuration.js'
import type { RulesOff } from './rules.js'

export interface EvidenceOptions {
  readonly peers: Pick<Peers, 'self' | 'condition' | 'learn'>
  readonly rulesOff?: RulesOff | undefined
  /** Nothing is heard of a node any more. */
  readonly onSilent?: ((nodeId: NodeId) => void) | undefined
  /** A node that was silent is heard again. */
  readonly onHeard?: ((nodeId: NodeId) => void) | undefined
  readonly clock: Clock
  readonly log: Log
}

export class Evidence {
  readonly #options: EvidenceOptions
  /** Every node that is or was registered, by store. */
  readonly #nodes = new Map<StoreId, RegisteredNode>()
  #registered: readonly RegisteredNode[] = []
  #startedAtMs = 0
  #minoritySinceMs: number | undefined
  readonly #silent = new Set<NodeId>()

  constructor(options: EvidenceOptions) {
    this.#options = options
  }

  /** From now on this node can hear the others. */
  begin(): void {
    this.#startedAtMs = this.#options.clock.nowMs()
  }

  /** On this node's clock. */
  get startedAtMs(): number {
    return this.#startedAtMs
  }

  /** Takes note of all nodes that are registered now. */
  learn(nodes: readonly RegisteredNode[]): void {
    const { peers } = this.#options
    this.#registered = nodes
    for (const node of nodes) {
      // Also what was replaced while this process was not there: a start would wait for it in vain.
      for (const storeId of node.formerStores ?? [])
        if (!this.#nodes.has(storeId)) this.#nodes.set(storeId, { ...node, storeId })
      this.#nodes.set(node.storeId, node)
    }
    peers.learn(nodes.filter(node => node.nodeId !== peers.self.nodeId))
  }

  /** Stores that are or were registered. */
  stores(): Iterable<StoreId> {
    return this.#nodes.keys()
  }

  /** The node that has or had a store; undefined when it was never read of. */
  nodeOf(store: StoreId): RegisteredNode | undefined {
    return this.#nodes.get(store)
  }

  /** Registered nodes, without this one. */
  others(): NodeId[] {
    const { self } = this.#options.peers
    return this.#registered.map(node => node.nodeId).filter(nodeId => nodeId !== self.nodeId)
  }

  /** Its node has another store now: wiped, or restored from a copy. This one will never be heard of again. */
  isReplaced(store: StoreId): boolean {
    if (this.#options.rulesOff?.storeIdentity) return false
    const node = this.#nodes.get(store)
    const current = this.#registered.find(({ nodeId }) => nodeId === node?.nodeId)
    return node !== undefined && current !== undefined && current.storeId !== store
  }

  isConnected(store: StoreId): boolean {
    const node = this.#nodes.get(store)
    if (this.isReplaced(store)) return false
    return node !== undefined && this.#options.peers.condition(node.nodeId).kind === 'connected'
  }

  /** Refused, or silent for `silentMs`. A life that is registered anew is another one: its store may lack something. */
  isDead(store: StoreId, silentMs: number): boolean {
    const { clock, peers } = this.#options
    const node = this.#nodes.get(store)
    if (!node) return clock.nowMs() - this.#startedAtMs > silentMs
    if (this.isReplaced(store)) return true
    const condition = peers.condition(node.nodeId)
    if (condition.kind === 'connected') return false
    if (condition.kind === 'refused' || this.#options.rulesOff?.evidence) return true
    return clock.nowMs() - Math.max(condition.heardAtMs, this.#startedAtMs) > silentMs
  }

  /** Looks whether this node sees at least half of all, also while the rows cannot be read. */
  countSeen(): void {
    const { clock, peers } = this.#options
    const seen = this.#registered.filter(
      node => node.nodeId === peers.self.nodeId || this.isConnected(node.storeId),
    ).length
    if (seen * 2 >= this.#registered.length) this.#minoritySinceMs = undefined
    else this.#minoritySinceMs ??= clock.nowMs()
  }

  /** This node saw fewer than half of all when that was counted last. */
  get isMinority(): boolean {
    return this.#minoritySinceMs !== undefined
  }

  /** True when this node may change rows: it sees at least half of all, or has waited for the larger side. */
  mayChange(): boolean {
    this.countSeen()
    const sinceMs = this.#options.rulesOff?.majority ? undefined : this.#minoritySinceMs
    return sinceMs === undefined || this.#options.clock.nowMs() - sinceMs > clusterTimes.minorityMs
  }

  /** A registered node is not connected: how long it has been silent has to be looked at closely. */
  get isAnySilent(): boolean {
    const { peers } = this.#options
    return this.others().some(nodeId => peers.condition(nodeId).kind !== 'connected')
  }

  /** All that changes of rows depend on, as a text: as long as it stays equal nobody has fallen silent or come back. */
  summary(): string {
    const silences = this.#registered.map(({ storeId }) =>
      [clusterTimes.removeAfterMs, clusterTimes.takeOverAfterMs].map(ms => this.isDead(storeId, ms)),
    )
    return `${this.mayChange()} ${silences}`
  }

  /** Nodes that nothing is heard of any more, and those that are heard again, told once for each silence. */
  reportSilent(): void {
    const { log, onHeard, onSilent, peers } = this.#options
    for (const node of this.#registered) {
      if (node.nodeId === peers.self.nodeId) continue
      if (this.isDead(node.storeId, clusterTimes.takeOverAfterMs)) {
        if (this.#silent.has(node.nodeId)) continue
        this.#silent.add(node.nodeId)
        log.info('node.silent', { node: node.nodeId })
        onSilent?.(node.nodeId)
      } else if (peers.condition(node.nodeId).kind === 'connected' && this.#silent.delete(node.nodeId)) {
        onHeard?.(node.nodeId)
      }
    }
  }
}
