/**
 * The store: records with checksums on a disk, and what the store knows about itself.
 *
 * Invariant: a record whose checksum is wrong is never handed out. It is moved, byte for byte, to the quarantine range
 * and reported. The store's id lives inside it, so a copied, restored or wiped directory is recognised as another one;
 * the boot number grows with each opening. After a failed write nothing is known about the disk, so `onFatal` is
 * called, and the process is expected to end.
 */
import { randomUUID } from 'node:crypto'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import type { Clock } from './clock.js'
import {
  type Disk,
  type DiskEntry,
  type DiskOperation,
  type DiskPages,
  openLevelDisk,
  type RangeOptions,
} from './disk.js'
import { DiskSpace } from './disk-space.js'
import { type KeyRange, metaKey, partitionsRange, quarantinePrefix, quarantineRange } from './keys.js'
import { openRecord, sealRecord } from './record.js'

/**
 * Grows when the layout changes: older stores are read, newer ones refused. In 1, the only record of an entity lay beside
 * its head. In 2, the records of a step had its order in their names.
 */
export const storeFormat = 3

export interface StoredRecord {
  readonly key: string
  readonly text: string
  readonly crc: number
  readonly bytes: Buffer
}

export interface RangeResult {
  readonly records: readonly StoredRecord[]
  /** Keys of damaged records that were found and set aside. */
  readonly damaged: readonly string[]
  /** The last key read, damaged or not: where the next page starts. Undefined when nothing was read. */
  readonly lastKey: string | undefined
  /** True when the range may hold more than was read. */
  readonly hasMore: boolean
}

export type CheckedRecords = Pick<RangeResult, 'records' | 'damaged'>

/** Something was found damaged and set aside. */
export interface Damage {
  readonly kind: 'file' | 'record' | 'entity'
  readonly what: string
  readonly reason: string
}

export interface Store {
  /** Another id is another store, whatever its directory is called. */
  readonly storeId: string
  /** 1 at the first opening. */
  readonly boot: number
  readonly damages: readonly Damage[]
  /** The disk has little room left: what brings new content is to be refused with `storage-full`. */
  readonly isFull: boolean
  /** Bytes free on the disk, as of a second ago; infinite in memory. */
  readonly freeBytes: number
  get(key: string): Promise<StoredRecord | undefined>
  /** Of these keys, the records that there are. */
  some(keys: readonly string[]): Promise<CheckedRecords>
  range(options: RangeOptions): Promise<RangeResult>
  /** The bytes of a range as they are now, unchecked: whoever gets them checks them. */
  pages(range: KeyRange): DiskPages
  write(operations: readonly DiskOperation[], sync: boolean): Promise<void>
  /** What was noted about the store under this name. */
  noted(name: string): Promise<string | undefined>
  /** Notes something about the store as a whole; on the medium when it resolves. */
  note(name: string, text: string): Promise<void>
  /** Moves whole records to quarantine and reports them as one damage. */
  setAside(records: readonly DiskEntry[], damage: Damage): Promise<void>
  /** Records in quarantine, counted up to `limit`. */
  countQuarantined(limit: number): Promise<number>
  close(): Promise<void>
}

export interface StoreOptions {
  readonly backend: 'leveldown' | 'memdown'
  /** Directory of LevelDB; needed by leveldown. */
  readonly path?: string
  /** Takes the place of the disk that backend and path name: for tests that make it fail. */
  readonly disk?: Disk
  readonly clock: Clock
  readonly log: Log
  /** The disk failed: nothing may be acknowledged any more. */
  readonly onFatal: (error: unknown) => void
  readonly onDamage?: (damage: Damage) => void
  /** Opens without writing anything, so that a look changes nothing. */
  readonly readOnly?: boolean
  /** Bytes of the disk that are kept free; nothing is watched when absent. */
  readonly freeBytesMin?: number
}

/** Reports kept for the status page; every one is logged, or said by `onDamage`. */
const damagesMax = 1_000

/**
 * Opens the store, founding it when the directory is empty.
 * @throws Error when it is open in another process or was written by a newer version
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const damages: Damage[] = []
  const report = (damage: Damage) => {
    if (damages.length < damagesMax) damages.push(damage)
    // Whoever listens says it to people; twice would be once too often.
    if (options.onDamage) options.onDamage(damage)
    else options.log.error('damage.found', { ...damage })
  }
  const disk =
    options.disk ??
    (await openLevelDisk({
      backend: options.backend,
      ...(options.path !== undefined && { path: options.path }),
      repairName: () => new Date(options.clock.nowMs()).toISOString(),
      onDamage: damage =>
        report({
          kind: 'file',
          what: damage.files.join(' '),
          reason: `${damage.error}; see ${damage.movedTo}`,
        }),
    }))
  const { path, freeBytesMin, clock, log } = options
  const space =
    options.backend === 'leveldown' && path !== undefined && freeBytesMin !== undefined && !options.disk
      ? await DiskSpace.watch({ path, freeBytesMin, clock, log })
      : undefined
  const store = new CheckedStore(disk, options, damages, report, space)
  try {
    await store.open()
  } catch (error) {
    space?.close()
    await disk.close()
    throw error
  }
  return store
}

class CheckedStore implements Store {
  storeId = ''
  boot = 0
  readonly damages: readonly Damage[]
  readonly #disk: Disk
  readonly #options: StoreOptions
  readonly #report: (damage: Damage) => void
  readonly #space: DiskSpace | undefined
  #setAsideCount = 0

  constructor(
    disk: Disk,
    options: StoreOptions,
    damages: readonly Damage[],
    report: (damage: Damage) => void,
    space: DiskSpace | undefined,
  ) {
    this.#disk = disk
    this.#options = options
    this.damages = damages
    this.#report = report
    this.#space = space
  }

  get isFull(): boolean {
    return this.#space?.isFull ?? false
  }

  get freeBytes(): number {
    return this.#space?.freeBytes ?? Number.POSITIVE_INFINITY
  }

  async open(): Promise<void> {
    const format = await this.get(metaKey('format'))
    if (format !== undefined && Number(format.text) > storeFormat) {
      throw new Error(`the store has format ${format.text}, this version reads up to ${storeFormat}`)
    }
    const id = await this.get(metaKey('store-id'))
    const boot = await this.get(metaKey('boot'))
    const isFounded = format !== undefined && id !== undefined
    if (!isFounded && !(await this.#isEmpty())) {
      this.#report({ kind: 'record', what: 'store id', reason: 'lost: this store counts as a new one' })
    }
    this.storeId = id?.text ?? randomUUID()
    this.boot = Number(boot?.text ?? 0) + 1
    if (this.#options.readOnly) return
    const put = (name: string, text: string): DiskOperation => {
      const key = metaKey(name)
      return { type: 'put', key, value: sealRecord(key, text).bytes }
    }
    await this.#disk.write(
      [put('format', String(storeFormat)), put('store-id', this.storeId), put('boot', String(this.boot))],
      true,
    )
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    const bytes = await this.#disk.get(key)
    if (bytes === undefined) return undefined
    const record = openRecord(key, bytes)
    if (record) return { key, bytes, ...record }
    await this.#setAsideRecords([{ key, bytes }])
    return undefined
  }

  async some(keys: readonly string[]): Promise<CheckedRecords> {
    return await this.#checked(await this.#disk.some(keys))
  }

  async range(options: RangeOptions): Promise<RangeResult> {
    const entries = await this.#disk.range(options)
    let bytesRead = 0
    for (const { bytes } of entries) bytesRead += bytes.length
    return {
      ...(await this.#checked(entries)),
      lastKey: entries.at(-1)?.key,
      hasMore: entries.length === options.limit || (options.bytesMax ?? Infinity) <= bytesRead,
    }
  }

  /** Opens what is whole and sets aside what is not. */
  async #checked(entries: readonly DiskEntry[]): Promise<CheckedRecords> {
    const records: StoredRecord[] = []
    const bad: DiskEntry[] = []
    for (const { key, bytes } of entries) {
      const record = openRecord(key, bytes)
      if (record) records.push({ key, bytes, text: record.text, crc: record.crc })
      else bad.push({ key, bytes })
    }
    if (bad.length > 0) await this.#setAsideRecords(bad)
    return { records, damaged: bad.map(entry => entry.key) }
  }

  pages(range: KeyRange): DiskPages {
    return this.#disk.pages(range)
  }

  async write(operations: readonly DiskOperation[], sync: boolean): Promise<void> {
    if (this.#space) this.#space.wrote(bytesOf(operations))
    try {
      await this.#disk.write(operations, sync)
    } catch (error) {
      // That it is closed is ours, and no failure.
      if (!(error instanceof AppError)) this.#options.onFatal(error)
      throw error
    }
  }

  async noted(name: string): Promise<string | undefined> {
    return (await this.get(metaKey(name)))?.text
  }

  async note(name: string, text: string): Promise<void> {
    const key = metaKey(name)
    await this.write([{ type: 'put', key, value: sealRecord(key, text).bytes }], true)
  }

  async setAside(records: readonly DiskEntry[], damage: Damage): Promise<void> {
    if (!this.#options.readOnly) await this.#move(records)
    this.#report(damage)
  }

  async countQuarantined(limit: number): Promise<number> {
    return (await this.#disk.range({ ...quarantineRange, limit })).length
  }

  async close(): Promise<void> {
    this.#space?.close()
    await this.#disk.close()
  }

  async #setAsideRecords(bad: readonly DiskEntry[]): Promise<void> {
    if (!this.#options.readOnly) await this.#move(bad)
    for (const { key } of bad) this.#report({ kind: 'record', what: key, reason: 'checksum is wrong' })
  }

  async #move(records: readonly DiskEntry[]): Promise<void> {
    this.#setAsideCount += 1
    const name = `${new Date(this.#options.clock.nowMs()).toISOString()}-${this.boot}-${this.#setAsideCount}`
    const operations: DiskOperation[] = []
    for (const { key, bytes } of records) {
      operations.push(
        { type: 'del', key },
        { type: 'put', key: `${quarantinePrefix}${name}/${key}`, value: bytes },
      )
    }
    await this.write(operations, true)
  }

  async #isEmpty(): Promise<boolean> {
    for (const range of [partitionsRange, quarantineRange]) {
      if ((await this.#disk.range({ ...range, limit: 1 })).length > 0) return false
    }
    return true
  }
}

function bytesOf(operations: readonly DiskOperation[]): number {
  let bytes = 0
  for (const operation of operations)
    bytes += operation.key.length + (operation.type === 'put' ? operation.value.length : 0)
  return bytes
}
