/**
 * Room on the disk at a start. A node on a full disk would fail somewhere in the middle of making its files, with
 * whatever words the library has for it; here it is one sentence with numbers, before anything is begun.
 */
import { existsSync } from 'node:fs'
import type { Config, DataDirectory } from '../config/index.js'
import { AppError } from '../errors.js'
import { measureFree } from '../partitions/index.js'

const megabyte = 1_048_576
/** Opening a store writes a log and a manifest; a node that starts below its reserve takes nothing new, but runs. */
const startBytesMin = 8 * megabyte
/** A new embedded database is 40 MB, and is complete before it is used. */
const newDatabaseBytesMin = 56 * megabyte

/** Rejects with `unavailable` when the disk of the data directory has not the room that a start takes. */
export async function refuseFullDisk(config: Config, directory: DataDirectory): Promise<void> {
  const isNew = config.database.url === null && !existsSync(directory.postgresPath)
  const neededBytes = isNew ? newDatabaseBytesMin : startBytesMin
  const freeBytes = await measureFree(directory.path).catch(() => undefined)
  if (freeBytes === undefined || freeBytes >= neededBytes) return
  const inMegabytes = (bytes: number) => (bytes / megabyte).toFixed(bytes < 10 * megabyte ? 1 : 0)
  throw new AppError(
    'unavailable',
    `The disk of the data directory ${directory.path} is full: ${inMegabytes(freeBytes)} MB are free, a start needs ${inMegabytes(neededBytes)} MB. Make room, or give another --storage:path.`,
  )
}
