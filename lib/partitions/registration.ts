/**
 * Joining a cluster as this node: what a directory must not be, and which process may stand for it.
 *
 * A directory can be copied, restored or given another database by mistake. Entities of another cluster must not be
 * taken for copies of this one's; an older copy of a directory must not take the place of the newer; of two processes
 * that run on copies of one directory, one must end. The registry counts the boots of each store, and a living process is
 * asked who it is, where the registry says.
 *
 * Invariant: of the lives of one store only the one that the registry names changes rows. What can go wrong: a copy
 * cannot reach the original and is registered. Then the original reads so within a second, and ends.
 */
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import type { PartitionId, Peers } from '../ring/index.js'
import type { Clock } from './clock.js'
import type { Configurations, RegisteredNode, StoreId } from './configuration.js'
import type { PartitionHead } from './position.js'
import type { Store } from './store.js'

export interface RegistrationOptions {
  readonly peers: Pick<Peers, 'self' | 'whoIs'>
  readonly configurations: Pick<Configurations, 'cluster' | 'register' | 'nodes' | 'forget'>
  /** Leads nothing and changes nothing from now on. Returns whether this node has been running until now. */
  giveUp(): boolean
  /** Another process is registered as this node: this one has resigned, and should end. */
  readonly onFatal: (error: AppError) => void
  readonly clock: Clock
  readonly log: Log
}

/** While the database is away nobody waits for it at the end. */
const forgetMsMax = 1_000

const duplicateMessage = (address: string) =>
  `Another process runs as this node, at ${address}: this data directory and its own are copies of each other. Stop one of the two; start it again with an empty directory.`
const supersededMessage =
  'This data directory is a copy of one that has been started since. Use the newer one, or an empty directory.'

export class Registration {
  readonly #options: RegistrationOptions
  /** This process is the one that the registry names. */
  #isRegistered = false
  /** Another one is, and this one must end. */
  #outlived: AppError | undefined

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /**
   * Looks whether this directory may take part, before anybody is spoken to. `heads` says what it holds.
   * @throws AppError `conflict` when it is an old copy, or belongs to another cluster
   */
  async check(store: Store, heads: ReadonlyMap<PartitionId, PartitionHead>): Promise<void> {
    if ((await store.noted('superseded')) !== undefined) throw new AppError('conflict', supersededMessage)
    await this.#checkCluster(store, heads)
  }

  /**
   * Registers this process life, and founds the cluster with what the store holds if there is none. Resolves with the
   * id of the cluster, which is noted in the store.
   * @throws AppError `conflict` when another process is this node, or the directory is an old copy
   */
  async register(store: Store, heads: ReadonlyMap<PartitionId, PartitionHead>): Promise<string> {
    const { boot, channelAddress, forwardAddress, nodeId, storeId } = this.#options.peers.self
    const node = { nodeId, storeId: storeId as StoreId, boot, channelAddress, forwardAddress }
    await this.#refuseDuplicate(store, node)
    const epochs = new Map([...heads].map(([partition, head]) => [partition, head.epoch + 1]))
    const clusterId = await this.#options.configurations.register(node, epochs)
    if (clusterId === null) {
      // A directory that was refused as an old copy stays refused: each start counts its boot on, and would pass for the
      // newest in the end.
      await store.note('superseded', String(node.boot))
      throw new AppError('conflict', supersededMessage)
    }
    this.#isRegistered = true
    await store.note('cluster', clusterId)
    return clusterId
  }

  /**
   * The registry names another process as this node, a copy that could not find it: one of the two must end.
   * @throws AppError `conflict` when this one must
   */
  refuseOutlived(nodes: readonly RegisteredNode[]): void {
    const { boot, nodeId, storeId } = this.#options.peers.self
    const current = nodes.find(node => node.nodeId === nodeId)
    // With an older life there the database was set back.
    if (!current || (current.storeId === storeId && current.boot <= boot)) return
    const error = new AppError('conflict', duplicateMessage(current.channelAddress))
    this.#outlived = error
    const wasRunning = this.#options.giveUp()
    this.#options.log.error('node.outlived', { by: current.channelAddress, boot: current.boot })
    // One that is only starting fails to.
    if (wasRunning) this.#options.onFatal(error)
    throw error
  }

  /**
   * At the end of a start: whoever has read meanwhile that this node is outlived may have gone on.
   * @throws AppError `conflict` when it is
   */
  requireCurrent(): void {
    if (this.#outlived) throw this.#outlived
  }

  /** Takes this node out of those who count for a majority: it has left. That its store was here stays known. */
  async forget(): Promise<void> {
    if (!this.#isRegistered) return
    const { clock, configurations, peers } = this.#options
    await new Promise<void>(resolve => {
      const timer = clock.setTimer(forgetMsMax, resolve)
      const done = () => {
        timer.cancel()
        resolve()
      }
      const { boot, nodeId, storeId } = peers.self
      configurations.forget({ nodeId, storeId: storeId as StoreId, boot }).then(done, done)
    })
  }

  /**
   * A copy of a living node's directory must not take its place. Only the process that has the original open can answer
   * under its store id, so this directory is the copy, now and at every later start.
   */
  async #refuseDuplicate(store: Store, { boot, nodeId, storeId }: RegisteredNode): Promise<void> {
    const { configurations, peers } = this.#options
    const known = (await configurations.nodes()).find(
      node => node.nodeId === nodeId || node.storeId === storeId,
    )
    const other = known && (await peers.whoIs(known))
    if (!other || (other.nodeId !== nodeId && other.storeId !== storeId)) return
    if (other.storeId === storeId && other.boot === boot) return
    if (other.storeId === storeId) await store.note('superseded', String(other.boot))
    throw new AppError('conflict', duplicateMessage(other.channelAddress))
  }

  /**
   * Entities of another cluster, or of a node alone, must not be taken for copies of this one's, or overwritten. Those of
   * a node alone may found a cluster; those of a cluster found no other one, because a database was mistyped or lost.
   */
  async #checkCluster(store: Store, heads: ReadonlyMap<PartitionId, PartitionHead>): Promise<void> {
    const { configurations, peers } = this.#options
    const mine = await store.noted('cluster')
    const theirs = await configurations.cluster()
    const holds = [...heads.values()].some(head => head.seq > 0)
    if (mine === theirs || !holds || (mine === undefined && theirs === null)) return
    if (mine === undefined) {
      // It has founded this cluster, or joined it, and ended before it could note that.
      const nodes = await configurations.nodes()
      if (nodes.some(node => node.storeId === peers.self.storeId)) return
    }
    throw new AppError(
      'conflict',
      `This data directory holds entities that do not belong to the cluster of this database${theirs === null ? ', which has none yet' : ''}. If \`database:url\` is right, start with an empty directory and bring them over with \`interval-server state export\` and \`state import\`.`,
    )
  }
}
