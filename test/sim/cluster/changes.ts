/**
 * What every change of a row must obey, held against what is true in the simulated world, of which no node knows all.
 *
 * Nobody is succeeded who was heard all the time; a node that sees fewer than half of all excludes nobody before the larger
 * side had its time; whoever leads next has what everybody has who could be asked; and what is handed over is there.
 */
import type { Change, Configuration, StoreId } from '../../../lib/partitions/configuration.js'
import { clusterTimes } from '../../../lib/partitions/index.js'
import { adoptedAt } from '../../../lib/partitions/nonce.js'
import { comparePositions } from '../../../lib/partitions/position.js'
import type { SimCluster, SimNode } from './sim-cluster.js'
import { silentAfterMs } from './sim-network.js'
import type { Life } from './world.js'

/** A change is asked for some questions after what it was decided on. */
const decidedMsMax = 1_900
/** In this time a node has connected with another that it can hear. */
const noticedMs = 1_000
/** Whoever could be asked all this time was asked. */
const reachedMs = 6_500
/** What was on its way has come. */
const settledMs = 1_000

export class Changes {
  readonly #cluster: SimCluster

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
  }

  asked(life: Life, changes: readonly Change[]): void {
    const cluster = this.#cluster
    const by = cluster.nodes.find(node => node.life === life)
    if (!by) return
    for (const change of changes) {
      const row = cluster.configurations.row(change.partition)
      if (row?.epoch !== (change.fromEpoch ?? change.epoch - 1)) continue
      // An operator may do anything.
      if (adoptedAt(change) === change.epoch) continue
      const isOwn = row.owner === by.storeId
      // Whoever has lost its disk is none that could be waited for.
      const left = [row.owner, ...row.replicas].filter(store => !isIn(change, store) && cluster.nodeOf(store))
      const isExcluding = change.owner !== row.owner || left.length > 0
      if (!isOwn) this.#checkEvidence(by, row, change)
      // One that starts has asked all members of its rows, or waited for them for longer.
      if (isExcluding && by.isReady) this.#checkMajority(by, change)
      // A node may lead, and take surplus copies out of its rows, a moment before its start is over.
      const isBeginning = change.fromEpoch !== undefined || cluster.rulesOff?.positions === true
      if (!isOwn || (!by.isReady && isBeginning)) this.#checkHighest(by, row, change)
      else if (change.owner !== row.owner) this.#checkDrained(by, row, change)
    }
  }

  /** Rule 5. */
  #checkEvidence(by: SimNode, row: Configuration, change: Change): void {
    const owner = this.#cluster.nodeOf(row.owner)
    if (change.owner === row.owner || !owner || !by.peers) return
    // It died, and was back before the change was asked for.
    if ((owner.life?.startedMs ?? 0) > this.#cluster.world.nowMs - decidedMsMax) return
    const silentMs = by.peers.lastSilenceMs(owner.id, decidedMsMax)
    if (silentMs >= clusterTimes.takeOverAfterMs) return
    this.#problem(
      `rule 5: ${by.id} succeeds ${owner.id} in partition ${change.partition}, which was silent for ${Math.round(silentMs)} ms`,
    )
  }

  /** Rule 6. */
  #checkMajority(by: SimNode, { partition }: Change): void {
    const { configurations, network, world } = this.#cluster
    const registered = by.life && configurations.registeredFor(by.life)
    if (!registered) return
    // Somebody came in the moment in which somebody else went, which it has not noticed.
    if (network.believedNow(by.id, silentAfterMs) * 2 >= registered) return
    // It may have noticed a moment in which it could hear enough, or not: it counts those it is connected with.
    const waits = [0, noticedMs].map(
      ms => world.nowMs - (network.fewSinceMs(by.id, registered, ms) ?? world.nowMs),
    )
    if (waits.some(ms => ms <= decidedMsMax || ms >= clusterTimes.minorityMs)) return
    const [waitedMs = 0] = waits
    this.#problem(
      `rule 6: ${by.id} sees fewer than half for ${Math.round(waitedMs)} ms and excludes somebody from partition ${partition}`,
    )
  }

  /** Rules 4 and 7: of those who could be asked for long, and have not changed meanwhile. */
  #checkHighest(by: SimNode, row: Configuration, change: Change): void {
    const cluster = this.#cluster
    const { network, world } = cluster
    const next = cluster.nodeOf(change.owner)
    const best = next && cluster.head(next, row.partition)
    if (!next || !best) return
    for (const store of [row.owner, ...row.replicas]) {
      const node = cluster.nodeOf(store)
      if (!node || node === next || node === by) continue
      // One that has been registered this moment could not be asked before.
      if (!node.isReady || world.nowMs - node.readyAtMs < settledMs) continue
      const restedMs = world.nowMs - cluster.writtenAtMs(node, row.partition)
      // One that starts hears whoever is there; nobody has written for it meanwhile.
      const isOwn = row.owner === by.storeId
      const sinceMs = isOwn ? (by.life?.startedMs ?? 0) : world.nowMs - reachedMs
      const isReached =
        network.heardSince(by.id, node.id) <= sinceMs && (node.life?.startedMs ?? 0) <= sinceMs
      if (!isReached || restedMs < (isOwn ? settledMs : reachedMs)) continue
      const head = cluster.head(node, row.partition)
      if (!head) continue
      const order = comparePositions(positionOf(head), positionOf(best))
      if (order > 0) {
        this.#problem(
          `rule 4: ${next.id} is to lead partition ${row.partition} at seq ${best.seq}, ${node.id} has ${head.seq}`,
        )
      } else if (order === 0 && head.chain.high === best.chain.high && !isIn(change, store)) {
        this.#problem(`rule 7: ${node.id} has all of partition ${row.partition} and is to be copied to anew`)
      }
    }
  }

  /** Rule 9. That an effect has been confirmed may be on its way: it is sent again otherwise. */
  #checkDrained(by: SimNode, { partition }: Configuration, change: Change): void {
    const cluster = this.#cluster
    const next = cluster.nodeOf(change.owner)
    const entities = (node: SimNode) =>
      cluster
        .content(node, partition)
        .split('\n')
        .filter(line => line.startsWith('e/'))
        .join('\n')
    if (!next || entities(by) === entities(next)) return
    this.#problem(`rule 9: ${by.id} hands partition ${partition} over to ${next.id}, which lacks something`)
  }

  #problem(text: string): void {
    this.#cluster.world.problem(text)
  }
}

function isIn(row: Pick<Configuration, 'owner' | 'replicas'>, store: StoreId): boolean {
  return row.owner === store || row.replicas.includes(store)
}

function positionOf({ lastEpoch, seq }: { lastEpoch: number; seq: number }) {
  return { epoch: lastEpoch, seq }
}
