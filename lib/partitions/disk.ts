/**
 * Bytes on disk: levelup over `leveldown` (a directory) or `memdown` (memory, gone with the process). Nothing outside
 * this file and `disk-repair.ts` knows LevelDB.
 *
 * Invariant: a write is all or nothing, and with `sync` it is on the medium before its promise resolves. What can go
 * wrong: a file is damaged. Then LevelDB answers `Corruption`; what cannot be read is kept aside, the directory is
 * repaired and opened again, and the operation is tried once more, so that one bad file does not take the node down.
 * What is missing afterwards is found by the entities' own digests.
 */
import type { AbstractIterator } from 'abstract-leveldown'
import levelup from 'levelup'
import { AppError } from '../errors.js'
import { directoryLooksDamaged, LogWatch, markClosed, markOpened, repairDirectory } from './disk-repair.js'
import type { KeyRange } from './keys.js'
import { leveldown, memdown } from './leveldb.js'

export type DiskOperation =
  | { readonly type: 'put'; readonly key: string; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: string }

export interface DiskEntry {
  readonly key: string
  readonly bytes: Buffer
}

export interface RangeOptions extends KeyRange {
  /** Entries at most; all when absent. */
  readonly limit?: number
  /** Ends the read after the entry that reaches it. */
  readonly bytesMax?: number
}

/**
 * Ordered keys and bytes. Every method rejects with the operating system's or LevelDB's error, and after `close` with
 * `unavailable`.
 */
export interface Disk {
  get(key: string): Promise<Buffer | undefined>
  /** Of these keys, the entries that there are: a third of the cost of a range, where the keys are known. */
  some(keys: readonly string[]): Promise<DiskEntry[]>
  /** Entries in key order, from one consistent snapshot. */
  range(options: RangeOptions): Promise<DiskEntry[]>
  /** The range as it is now, whatever is written later; read a page at a time. Throws `unavailable` during a repair. */
  pages(range: KeyRange): DiskPages
  write(operations: readonly DiskOperation[], sync: boolean): Promise<void>
  /** Resolves when what was begun has ended. */
  close(): Promise<void>
}

export interface DiskPages {
  /** The next entries in order; none at the end. */
  next(bounds: { readonly limit: number; readonly bytesMax: number }): Promise<DiskEntry[]>
  /** Must be called. */
  end(): Promise<void>
}

/** A file of the store was damaged; what could not be read is in `movedTo`. */
export interface DiskDamage {
  readonly error: string
  readonly movedTo: string
  readonly files: readonly string[]
}

export interface LevelDiskOptions {
  readonly backend: 'leveldown' | 'memdown'
  /** Directory of LevelDB; unused by memdown. */
  readonly path?: string
  /** Name of the quarantine directory of a repair happening now, e.g. a time. */
  readonly repairName: () => string
  readonly onDamage: (damage: DiskDamage) => void
}

type Level = ReturnType<typeof levelup>

/** A batch that is put together step by step; the published types leave out the options of `write`. */
interface ChainedBatch {
  put(key: string, value: Buffer): unknown
  del(key: string): unknown
  write(options: { readonly sync: boolean }, callback: (error?: Error) => void): unknown
}

/**
 * What LevelDB gathers before it writes a table, in bytes; by default 4 MB. Keys come in any order, so each table that is
 * merged rewrites most of the next level: a fourth of the tables is a fourth of that.
 */
const writeBufferSize = 16 * 1024 * 1024

/** Repairs in one life of the process; more means the medium itself is failing. */
const repairsMax = 4

/** Opens a disk. @throws Error when another process has the directory open, or it cannot be repaired */
export async function openLevelDisk(options: LevelDiskOptions): Promise<Disk> {
  if (options.backend === 'memdown') return new LevelDisk(levelup(memdown<Buffer, Buffer>()), undefined)
  const { path } = options
  if (path === undefined) throw new Error('leveldown needs a directory')
  const repair = async (error: unknown) => {
    const damage = await repairDirectory(path, options.repairName(), error)
    options.onDamage(damage)
  }
  const hint = await directoryLooksDamaged(path)
  const tables = await markOpened(path)
  if (hint !== undefined) await repair(new Error(`Corruption: ${hint}`))
  else if (tables.length > 0) await repair(new Error('Corruption: the checksum of a table is wrong'))
  const watch = await LogWatch.begin(path)
  let level: Level
  try {
    level = await openLevel(path)
  } catch (error) {
    if (!isCorruption(error)) throw error
    await repair(error)
    level = await openLevel(path)
  }
  const dropped = await watch.end(options.repairName())
  if (dropped) options.onDamage(dropped)
  return new LevelDisk(level, { path, repair })
}

/** A table that was cut short or deleted is reported as an error of the operating system. */
const corruptionPattern = /corruption|\.(ldb|sst): (invalid argument|no such file)/i

const heldPattern = /lock .*(temporarily unavailable|already held|in use)/i

/** True when LevelDB says that a file, rather than the medium or a caller, is at fault. */
export function isCorruption(error: unknown): boolean {
  return error instanceof Error && corruptionPattern.test(error.message)
}

async function openLevel(path: string): Promise<Level> {
  return await new Promise<Level>((resolve, reject) => {
    const level = levelup(
      leveldown(path),
      { createIfMissing: true, writeBufferSize },
      (error: Error | undefined) => {
        if (!error) resolve(level)
        else if (isCorruption(error)) reject(error)
        else if (heldPattern.test(error.message))
          reject(new Error(`another process has the store open: ${path}`, { cause: error }))
        else reject(new Error(`The store ${path} cannot be opened: ${error.message}`, { cause: error }))
      },
    )
  })
}

interface Repairer {
  readonly path: string
  repair(error: unknown): Promise<void>
}

class LevelDisk implements Disk {
  #level: Level
  readonly #repairer: Repairer | undefined
  #repairsLeft = repairsMax
  #repairing: Promise<void> | undefined
  #operations = 0
  #isClosed = false
  #whenIdle: (() => void) | undefined

  constructor(level: Level, repairer: Repairer | undefined) {
    this.#level = level
    this.#repairer = repairer
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#run(
      () =>
        new Promise<Buffer | undefined>((resolve, reject) => {
          this.#level.get(key, (error: (Error & { notFound?: boolean }) | undefined, value: Buffer) => {
            if (!error) resolve(value)
            else if (error.notFound) resolve(undefined)
            else reject(error)
          })
        }),
    )
  }

  some(keys: readonly string[]): Promise<DiskEntry[]> {
    return this.#run(
      () =>
        new Promise<DiskEntry[]>((resolve, reject) => {
          this.#level.getMany([...keys], (error, values) => {
            if (error) return reject(error)
            const entries: DiskEntry[] = []
            for (const [at, key] of keys.entries()) {
              const bytes = values[at]
              if (bytes !== undefined) entries.push({ key, bytes })
            }
            resolve(entries)
          })
        }),
    )
  }

  range(options: RangeOptions): Promise<DiskEntry[]> {
    return this.#run(() => readRange(this.#level, options))
  }

  pages(range: KeyRange): DiskPages {
    this.#requireOpen()
    if (this.#repairing) throw new AppError('unavailable', 'The store is being repaired.')
    const iterator: AbstractIterator<string, Buffer> = this.#level.iterator({
      gte: range.gte,
      lt: range.lt,
      keyAsBuffer: false,
      valueAsBuffer: true,
    })
    return {
      next: ({ limit, bytesMax }) =>
        new Promise((resolve, reject) => {
          const entries: DiskEntry[] = []
          let bytesLeft = bytesMax
          const next = (error: Error | undefined, key: string | undefined, bytes: Buffer) => {
            if (error) return reject(error)
            if (key === undefined) return resolve(entries)
            entries.push({ key, bytes })
            bytesLeft -= bytes.length
            if (bytesLeft <= 0 || entries.length >= limit) return resolve(entries)
            iterator.next(next)
          }
          iterator.next(next)
        }),
      end: () => new Promise(resolve => iterator.end(() => resolve())),
    }
  }

  write(operations: readonly DiskOperation[], sync: boolean): Promise<void> {
    return this.#run(
      () =>
        new Promise<void>((resolve, reject) => {
          // One after the other costs half of what an array of objects does, which is taken apart in native code.
          const batch = this.#level.batch() as unknown as ChainedBatch
          for (const operation of operations) {
            if (operation.type === 'put') batch.put(operation.key, operation.value)
            else batch.del(operation.key)
          }
          batch.write({ sync }, error => (error ? reject(error) : resolve()))
        }),
    )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#repairing
    await this.#idle()
    await this.#level.close()
    if (this.#repairer) await markClosed(this.#repairer.path)
  }

  async #run<T>(operation: () => Promise<T>): Promise<T> {
    while (this.#repairing) await this.#repairing
    this.#requireOpen()
    try {
      return await this.#counted(operation)
    } catch (error) {
      if (!isCorruption(error) || !this.#repairer || this.#isClosed) throw error
      this.#repairing ??= this.#repair(this.#repairer, error).finally(() => {
        this.#repairing = undefined
      })
      await this.#repairing
      this.#requireOpen()
      return await this.#counted(operation)
    }
  }

  async #counted<T>(operation: () => Promise<T>): Promise<T> {
    this.#operations += 1
    try {
      return await operation()
    } finally {
      this.#operations -= 1
      if (this.#operations === 0) this.#whenIdle?.()
    }
  }

  async #repair(repairer: Repairer, error: unknown): Promise<void> {
    if (this.#repairsLeft === 0) throw error
    this.#repairsLeft -= 1
    await this.#idle()
    await this.#level.close()
    await repairer.repair(error)
    this.#level = await openLevel(repairer.path)
  }

  async #idle(): Promise<void> {
    if (this.#operations === 0) return
    await new Promise<void>(resolve => {
      this.#whenIdle = resolve
    })
    this.#whenIdle = undefined
  }

  /** A batch or an iterator of a database that was closed ends the process: nothing below looks. */
  #requireOpen(): void {
    if (this.#isClosed) throw new AppError('unavailable', 'The store is closed.')
  }
}

function readRange(level: Level, options: RangeOptions): Promise<DiskEntry[]> {
  return new Promise((resolve, reject) => {
    const entries: DiskEntry[] = []
    let bytesLeft = options.bytesMax ?? Number.POSITIVE_INFINITY
    const iterator: AbstractIterator<string, Buffer> = level.iterator({
      gte: options.gte,
      lt: options.lt,
      limit: options.limit ?? -1,
      keyAsBuffer: false,
      valueAsBuffer: true,
    })
    const end = (error?: Error) => {
      iterator.end(endError => {
        const failure = error ?? endError
        if (failure) reject(failure)
        else resolve(entries)
      })
    }
    const next = (error: Error | undefined, key: string | undefined, bytes: Buffer) => {
      if (error) return end(error)
      if (key === undefined) return end()
      entries.push({ key, bytes })
      bytesLeft -= bytes.length
      if (bytesLeft <= 0) return end()
      iterator.next(next)
    }
    iterator.next(next)
  })
}
