/**
 * Files in a folder of the data directory, for a node alone. A file is named by its id and its attempt; nothing that a
 * browser has said is part of a path.
 *
 * Invariant: what is acknowledged was flushed to the disk, and the folder with it. What can go wrong: the node dies while
 * a file is being written; then it goes with its upload, an hour later. Files without an upload are removed at a start.
 */
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import { isUploadId } from './links.js'
import type { ByteStorage } from './storage.js'
import type { Upload } from './upload.js'

const readBytes = 262_144

export interface DiskStorageOptions {
  /** Made when it is first needed. */
  readonly folder: string
  /** Flush before anything is acknowledged. */
  readonly sync: boolean
}

export function diskStorage({ folder, sync }: DiskStorageOptions): ByteStorage {
  const pathOf = (id: string, attempt: number): string => {
    if (!isUploadId(id) || !Number.isSafeInteger(attempt)) throw new Error('not an upload')
    return join(folder, `${id}.${attempt}`)
  }

  const flushFolder = async (): Promise<void> => {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  return {
    isDirect: false,
    bytesMax: limits.uploadBytesMax,
    async write(upload, attempt, bytes) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await refuseWithoutRoom(folder, upload.size)
      const path = pathOf(upload.id, attempt)
      try {
        const handle = await open(path, 'wx', 0o600)
        try {
          for await (const piece of bytes) await handle.writeFile(piece)
          if (sync) await handle.sync()
        } finally {
          await handle.close()
        }
        if (sync) await flushFolder()
      } catch (error) {
        await rm(path, { force: true }).catch(() => undefined)
        throw isFull(error) ? new AppError('storage-full', undefined, { cause: error }) : error
      }
    },
    // Opened when it is read, not before: who asks for the head alone leaves no file open.
    async *read({ id }, attempt) {
      yield* createReadStream(pathOf(id, attempt), { highWaterMark: readBytes }) as AsyncIterable<Buffer>
    },
    async remove({ attempts, id }: Upload) {
      for (let attempt = 1; attempt <= attempts; attempt += 1) await rm(pathOf(id, attempt), { force: true })
    },
    async sweep(isKnown) {
      const names = await readdir(folder).catch(() => [])
      for (const name of names) {
        const [, id = ''] = /^([^.]+)\.[0-9]+$/.exec(name) ?? []
        if (isUploadId(id) && !(await isKnown(id))) await rm(join(folder, name), { force: true })
      }
    },
  }
}

/** The live state of this node is on the same disk, and needs its reserve. */
async function refuseWithoutRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(folder)
  if (blocks > 0 && bavail * bsize < bytes + limits.diskFreeBytesMin) throw new AppError('storage-full')
}

function isFull(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT'
}
