/**
 * Repairs a LevelDB directory one of whose files cannot be read.
 *
 * Invariant: nothing is destroyed. Every file is linked into `quarantine/<name>/` before the repair; afterwards the
 * links of files that the repair kept unchanged are removed, so what stays there is what it dropped or rewrote.
 */
import { link, mkdir, readdir, readFile, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

import type { DiskDamage } from './disk.js'
import { leveldown } from './leveldb.js'

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

/** Repairs the closed store at `path`. @throws Error when it cannot be repaired; the files are in quarantine then */
export async function repairDirectory(path: string, name: string, cause: unknown): Promise<DiskDamage> {
  const quarantine = join(path, 'quarantine', name.replaceAll(/[^\w.-]/g, '-'))
  await mkdir(quarantine, { recursive: true })
  const names = await dataFiles(path)
  for (const file of names) await link(join(path, file), join(quarantine, file))
  await new Promise<void>((resolve, reject) => {
    leveldown.repair(path, error => (error ? reject(error) : resolve()))
  })
  // LevelDB moves what it gave up to `lost/`; the same bytes are linked in quarantine.
  await rm(join(path, 'lost'), { recursive: true, force: true })
  const kept: string[] = []
  for (const file of names) {
    if (await isSameFile(join(path, file), join(quarantine, file))) await unlink(join(quarantine, file))
    else kept.push(file)
  }
  return { error: cause instanceof Error ? cause.message : String(cause), movedTo: quarantine, files: kept }
}

async function dataFiles(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).filter(name => dataFile.test(name))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
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
