/**
 * Repairs a LevelDB directory one of whose files cannot be read.
 *
 * Invariant: nothing is destroyed. Every file is linked into `quarantine/<name>/` before the repair; afterwards the
 * links of files that the repair kept unchanged are removed, so what stays there is what it dropped or rewrote.
 */
import { link, mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { DiskDamage } from './disk.js'
import { leveldown } from './leveldb.js'
import { damagedTables } from './table-check.js'

const dataFile = /^(\d+\.(ldb|sst|log)|MANIFEST-\d+|CURRENT)$/

/**
 * Damage that LevelDB itself would not report: without a readable CURRENT it would found an empty store in place and
 * delete the files of the old one. Undefined when the directory is whole, empty or absent.
 */
export async function directoryLooksDamaged(path: string): Promise<string | undefined> {
  const names = await dataFiles(path)
  if (names.length === 0) return undefined
  if (!names.includes('CURRENT')) return 'CURRENT is missing'
  const manifest = (await readFile(join(path, 'CURRENT'), 'latin1')).trim()
  if (!names.includes(manifest)) return 'CURRENT names no manifest'
  return undefined
}

/** There while a store is open, and after a life that did not close it. */
const openMark = 'in-use'

/** Marks the store as open. Resolves with the damaged tables when the life before did not close it. */
export async function markOpened(path: string): Promise<string[]> {
  const mark = join(path, openMark)
  await mkdir(path, { recursive: true })
  const wasClosed = await stat(mark).then(
    () => false,
    () => true,
  )
  const damaged = wasClosed ? [] : await damagedTables(path)
  await writeFile(mark, '')
  return damaged
}

export async function markClosed(path: string): Promise<void> {
  await rm(join(path, openMark), { force: true })
}

/** True when a store, whole or damaged, is in the directory. */
export async function directoryHasStore(path: string): Promise<boolean> {
  return (await dataFiles(path)).length > 0
}

/** Repairs the closed store at `path`. @throws Error when it cannot be repaired; the files are in quarantine then */
export async function repairDirectory(path: string, name: string, cause: unknown): Promise<DiskDamage> {
  const quarantine = join(path, 'quarantine', safeName(name))
  await mkdir(quarantine, { recursive: true })
  // A repair reads tables as trustfully as a merge does, and would end the process like one.
  const damaged = await damagedTables(path)
  for (const file of damaged) await rename(join(path, file), join(quarantine, file))
  const names = await dataFiles(path)
  for (const file of names) await link(join(path, file), join(quarantine, file))
  await new Promise<void>((resolve, reject) => {
    leveldown.repair(path, error => {
      if (!error) return resolve()
      const message = `The store ${path} cannot be repaired: ${error.message}. Its files are in ${quarantine}.`
      reject(new Error(message, { cause: error }))
    })
  })
  // LevelDB moves what it gave up to `lost/`; the same bytes are linked in quarantine.
  await rm(join(path, 'lost'), { recursive: true, force: true })
  const kept: string[] = [...damaged]
  for (const file of names) {
    if (await isSameFile(join(path, file), join(quarantine, file))) await unlink(join(quarantine, file))
    else kept.push(file)
  }
  return { error: cause instanceof Error ? cause.message : String(cause), movedTo: quarantine, files: kept }
}

/**
 * LevelDB goes on without the parts of its write-ahead log that it cannot read, and tells only its own log file. This
 * keeps the logs until the store is open, and reports what was dropped. An end that was not written to the last byte
 * is no damage: it was never acknowledged.
 */
export class LogWatch {
  private constructor(
    private readonly path: string,
    private readonly kept: string,
    private readonly files: readonly string[],
  ) {}

  /** Call it before the store is opened. */
  static async begin(path: string): Promise<LogWatch> {
    const kept = join(path, 'quarantine', 'opening')
    await rm(kept, { recursive: true, force: true })
    const files = (await dataFiles(path)).filter(name => name.endsWith('.log'))
    if (files.length > 0) await mkdir(kept, { recursive: true })
    for (const file of files) await link(join(path, file), join(kept, file))
    return new LogWatch(path, kept, files)
  }

  /** Call it once the store is open. Returns what LevelDB dropped. */
  async end(name: string): Promise<DiskDamage | undefined> {
    if (this.files.length === 0) return undefined
    const report = /dropping \d+ bytes; .*/.exec(
      await readFile(join(this.path, 'LOG'), 'utf8').catch(() => ''),
    )
    if (!report) {
      await rm(this.kept, { recursive: true, force: true })
      return undefined
    }
    const movedTo = join(this.path, 'quarantine', safeName(name))
    await rename(this.kept, movedTo)
    return { error: report[0], movedTo, files: this.files }
  }
}

function safeName(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '-')
}

async function dataFiles(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).filter(name => dataFile.test(name))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return []
    if (code === 'ENOTDIR')
      throw new Error(
        `The store ${path} is not a folder. Move that file away, or restore the folder from a copy.`,
      )
    throw error
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  try {
    const [first, second] = await Promise.all([stat(a), stat(b)])
    return first.ino === second.ino
  } catch {
    return false
  }
}
