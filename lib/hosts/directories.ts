/**
 * The directories as this node sees them: a copy of each one that is in use, read again after it has changed, merged
 * with what is known softly of who is connected. Starts and lists read only this copy, never the entity.
 */
import type { EntityKey, InstanceId } from '../ids.js'
import { limits } from '../limits.js'
import type { EntityRuntime } from '../partitions/contract.js'
import { type DirectoryState, directoryFrom, type ReadDirectory } from './directory.js'
import { DirectoryView } from './directory-view.js'

interface Copy {
  /** Null: to be read on the next use. */
  state: Promise<DirectoryState> | null
  view: DirectoryView | null
  readonly watchers: Set<() => void>
  /** Order of last use, for the bound. */
  usedAt: number
}

/** Nobody waits for a list longer than for anything else. */
const inTime = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
/** Copies nobody watches that are kept for the next start. */
const copiesMax = 1_000

export class Directories {
  readonly #runtime: EntityRuntime
  readonly #isConnected: (instanceId: InstanceId) => boolean
  readonly #copies = new Map<EntityKey, Copy>()
  #uses = 0

  constructor(runtime: EntityRuntime, isConnected: (instanceId: InstanceId) => boolean) {
    this.#runtime = runtime
    this.#isConnected = isConnected
    runtime.onSignal(
      'directory',
      signal => this.refresh(signal.target as EntityKey),
      () => 'everywhere',
    )
    runtime.onMissed('directory', concerns => {
      for (const key of [...this.#copies.keys()]) if (concerns(key, key)) this.refresh(key)
    })
  }

  /** The directory now. Rejects with `unavailable` when its owner cannot be asked. */
  async view(key: EntityKey): Promise<DirectoryView> {
    const copy = this.#copy(key)
    copy.state ??= this.#read(key)
    const reading = copy.state
    try {
      const state = await reading
      // The directory has changed while it was read: what was read is old.
      if (copy.state !== reading) return this.view(key)
      copy.view ??= new DirectoryView(state, this.#isConnected)
      return copy.view
    } catch (error) {
      if (copy.state === reading) copy.state = null
      throw error
    }
  }

  /** Runs `changed` after each change of the directory or of who is connected. Returns a function that ends it. */
  watch(key: EntityKey, changed: () => void): () => void {
    const { watchers } = this.#copy(key)
    watchers.add(changed)
    return () => watchers.delete(changed)
  }

  /** The stored directory has changed. */
  refresh(key: EntityKey): void {
    const copy = this.#copies.get(key)
    if (!copy) return
    copy.state = null
    copy.view = null
    notify(copy)
  }

  /** A host of this directory came or went. */
  presenceChanged(key: EntityKey): void {
    const copy = this.#copies.get(key)
    if (!copy) return
    copy.view = null
    notify(copy)
  }

  #copy(key: EntityKey): Copy {
    let copy = this.#copies.get(key)
    this.#uses += 1
    if (!copy) {
      copy = { state: null, view: null, watchers: new Set(), usedAt: this.#uses }
      this.#copies.set(key, copy)
      if (this.#copies.size > copiesMax) this.#forgetOldest()
    }
    copy.usedAt = this.#uses
    return copy
  }

  async #read(key: EntityKey): Promise<DirectoryState> {
    return directoryFrom(await this.#runtime.send<ReadDirectory>(key, { type: 'read' }, inTime))
  }

  #forgetOldest(): void {
    let oldest: [EntityKey, Copy] | null = null
    for (const entry of this.#copies) {
      if (entry[1].watchers.size === 0 && (oldest === null || entry[1].usedAt < oldest[1].usedAt))
        oldest = entry
    }
    if (oldest) this.#copies.delete(oldest[0])
  }
}

function notify(copy: Copy): void {
  for (const changed of copy.watchers) changed()
}
