/**
 * How much room the disk has left, so that a node stops taking new work before its disk is full instead of after.
 *
 * A write that fails half-way leaves a store of which nothing is known, and ends the process. So a reserve is kept: while
 * less than that is free, what would bring new content is refused with `storage-full`, and everything else goes on out of
 * the reserve: reading, coming back, cancelling, ending. When room was made, work is taken again; nobody has to restart
 * anything.
 *
 * Invariant: between two looks no more is taken than the reserve can hold. What can go wrong: another program fills the
 * disk faster than this looks; then a write fails after all, and the process ends with everything acknowledged on disk.
 */
import { statfs } from 'node:fs/promises'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import type { Clock, Timer } from './clock.js'

/** How often one looks. */
const lookMs = 1_000
/** LevelDB writes everything into its log, then into a table, and again when tables are merged. */
const writtenTimes = 3
/** Work is taken again when there is this much more than the reserve, so that it does not flap. */
const againTimes = 1.25

/** Bytes that this user may still write there. Undefined where the file system does not know. */
export type MeasureFree = (path: string) => Promise<number | undefined>

export const measureFree: MeasureFree = async path => {
  const { bavail, blocks, bsize } = await statfs(path)
  return blocks === 0 ? undefined : bavail * bsize
}

export interface DiskSpaceOptions {
  readonly path: string
  /** The reserve. */
  readonly freeBytesMin: number
  readonly clock: Clock
  readonly log: Log
  readonly measure?: MeasureFree
}

export class DiskSpace {
  readonly #options: DiskSpaceOptions
  /** At the last look. */
  #freeBytes = Number.POSITIVE_INFINITY
  #writtenBytes = 0
  #isFull = false
  #looking: Promise<void> | undefined
  #timer: Timer | undefined
  #isClosed = false

  private constructor(options: DiskSpaceOptions) {
    this.#options = options
  }

  /** Resolves after the first look. */
  static async watch(options: DiskSpaceOptions): Promise<DiskSpace> {
    const space = new DiskSpace(options)
    await space.look()
    space.#lookLater()
    return space
  }

  /** Bytes free at the last look; infinite where the file system does not say. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  get isFull(): boolean {
    return this.#isFull
  }

  /** Throws `storage-full` while the reserve is touched. */
  refuseWhenFull(): void {
    if (this.#isFull) throw new AppError('storage-full')
  }

  /** So much is being written. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes * writtenTimes
    this.#judge()
    // A good part of what was free may be gone: look before the next second does.
    if (!this.#isFull && this.#writtenBytes > (this.#freeBytes - this.#options.freeBytesMin) / 2)
      void this.look()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const { measure = measureFree, path, log } = this.#options
    const writtenBefore = this.#writtenBytes
    try {
      this.#freeBytes = (await measure(path)) ?? Number.POSITIVE_INFINITY
      this.#writtenBytes -= writtenBefore
      this.#judge()
    } catch (error) {
      log.debug('disk.not-measured', { error })
    }
  }

  #judge(): void {
    const { freeBytesMin, log, path } = this.#options
    const freeBytes = this.#freeBytes - this.#writtenBytes
    const isFull = freeBytes < freeBytesMin * (this.#isFull ? againTimes : 1)
    if (isFull === this.#isFull) return
    this.#isFull = isFull
    if (isFull) log.error('disk.full', { path, freeBytes, freeBytesMin, newWork: 'refused' })
    else log.warn('disk.has-room', { path, freeBytes, newWork: 'taken' })
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.setTimer(lookMs, () => {
      void this.look().finally(() => {
        if (!this.#isClosed) this.#lookLater()
      })
    })
  }
}
