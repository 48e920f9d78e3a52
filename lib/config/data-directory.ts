/**
 * The folder a node lives in: live state, embedded database, identity, secrets, lock, admin socket.
 *
 * Invariant: whoever has a `DataDirectory` is the only process that works on it (directory-lock.ts), and what must not
 * be read by others cannot be: the folder is 0700, the secrets 0600. What can go wrong is said in one sentence with the
 * command that mends it: not a folder, not writable, secrets that others can read.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import type { Secret } from '../log.js'
import type { ConfiguredSecrets } from './config.js'
import { type DirectoryLock, lockDirectory } from './directory-lock.js'
import { writeFileDurably } from './durable-file.js'
import { type Processes, systemProcesses } from './process-identity.js'
import { completeSecrets } from './secrets-file.js'
import { errorCode } from './sources.js'

/** All three, configured or made. */
export interface Secrets {
  readonly server: Secret
  readonly nodes: Secret
  readonly cookie: Secret
}

export interface DataDirectory {
  readonly path: string
  /** Made at the first start, then the same for ever. */
  readonly nodeId: NodeId
  readonly secrets: Secrets
  /** LevelDB. */
  readonly entitiesPath: string
  /** The embedded database. */
  readonly postgresPath: string
  /** Files that people have sent, on a node alone. */
  readonly uploadsPath: string
  readonly adminSocketPath: string
  /** False when the lock file was removed or replaced under us: then nothing more may be written. */
  isHeld(): boolean
  /** Gives the directory free. */
  close(): void
}

export interface DataDirectoryOptions {
  readonly secrets: ConfiguredSecrets
  /** The command that opens it: `run`, `state`, … */
  readonly command: string
  /** Where the node will listen, for whoever is refused. */
  readonly address?: string | null
  /** False: a directory that does not exist is an error. */
  readonly create?: boolean
  /** How long to wait for a short-lived holder to end, in ms. */
  readonly waitMs?: number
  readonly processes?: Processes
  /** Wall-clock time in ms. */
  readonly nowMs?: () => number
}

/** Bytes a unix socket's path may have: 107 on Linux, 103 elsewhere. */
const socketPathBytesMax = process.platform === 'linux' ? 107 : 103

/**
 * Opens and locks the data directory. Rejects with `conflict` when another process has it, `not-found` when it does
 * not exist and may not be made, and `unavailable` or `invalid-value` when it cannot be used.
 */
export async function openDataDirectory(path: string, options: DataDirectoryOptions): Promise<DataDirectory> {
  prepareFolder(path, options.create ?? true)
  const adminSocketPath = adminSocketPathFor(path)
  let lock: DirectoryLock
  try {
    lock = await lockDirectory(path, {
      processes: options.processes ?? systemProcesses(),
      nowMs: options.nowMs ?? Date.now,
      command: options.command,
      address: options.address ?? null,
      adminSocket: adminSocketPath,
      ...(options.waitMs === undefined ? {} : { waitMs: options.waitMs }),
    })
  } catch (error) {
    throw error instanceof AppError ? error : cannotUse(path, error)
  }
  try {
    if (dirname(adminSocketPath) !== path) prepareSocketFolder(dirname(adminSocketPath))
    return {
      path,
      nodeId: nodeIdIn(path),
      secrets: completeSecrets(join(path, 'secrets.json'), options.secrets),
      entitiesPath: join(path, 'entities'),
      postgresPath: join(path, 'postgres'),
      uploadsPath: join(path, 'uploads'),
      adminSocketPath,
      isHeld: () => lock.isHeld(),
      close() {
        // Made for this directory alone; while the lock is held, nobody else uses it.
        if (dirname(adminSocketPath) !== path && lock.isHeld()) {
          rmSync(dirname(adminSocketPath), { recursive: true, force: true })
        }
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error instanceof AppError ? error : cannotUse(path, error)
  }
}

/** Where the admin socket of a data directory is: inside, or, when that path is too long for a socket, in a private folder of the temporary one. */
export function adminSocketPathFor(path: string, temporary: string = tmpdir()): string {
  const inside = join(path, 'admin.sock')
  if (Buffer.byteLength(inside) <= socketPathBytesMax) return inside
  const name = createHash('sha256').update(path).digest('hex').slice(0, 16)
  return join(temporary, `interval-${userInfo().uid}-${name}`, 'admin.sock')
}

/** Makes the folder of a socket outside the data directory; refuses one that somebody else has made there. */
export function prepareSocketFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (process.platform === 'win32') return
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== userInfo().uid || (found.mode & 0o077) !== 0) {
    throw new AppError(
      'conflict',
      `${folder} is not a private folder of this user. Remove it, or use a shorter --storage:path.`,
    )
  }
}

function prepareFolder(path: string, create: boolean): void {
  try {
    if (create) makeFolder(path)
    if (!statSync(path).isDirectory()) {
      throw new AppError('invalid-value', `storage:path = ${path} is not a folder.`)
    }
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    if (error instanceof AppError) throw error
    if (!create && errorCode(error) === 'ENOENT') {
      throw new AppError('not-found', `There is no data directory at ${path}. Give the right --storage:path.`)
    }
    throw cannotUse(path, error)
  }
}

/** Makes the folder and those above it, one by one: Node's recursive way never returns below `/proc`. */
function makeFolder(path: string): void {
  const missing: string[] = []
  for (let folder = path; !existsSync(folder) && dirname(folder) !== folder; folder = dirname(folder))
    missing.push(folder)
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 })
    } catch (error) {
      // Another process was faster.
      if (errorCode(error) !== 'EEXIST') throw error
    }
  }
}

function cannotUse(path: string, error: unknown): AppError {
  const reasons: Readonly<Record<string, string>> = {
    EACCES: 'this user may not read and write there',
    EPERM: 'this user may not read and write there',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
    EDQUOT: "this user's share of the disk is used up",
    EIO: 'the disk reports an error',
    ENOENT: 'no files can be made there',
    ENOTDIR: 'a part of the path is a file',
    EEXIST: 'it is a file',
    ENAMETOOLONG: 'the path is too long',
  }
  const code = errorCode(error)
  return new AppError(
    'unavailable',
    `The data directory ${path} cannot be used: ${reasons[code] ?? code}. Mend that, or give another --storage:path.`,
    { cause: error },
  )
}

function nodeIdIn(path: string): NodeId {
  const file = join(path, 'node-id')
  let text: string | null = null
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  if (text === null) {
    const made = randomUUID()
    writeFileDurably(file, `${made}\n`, 0o600)
    return made as NodeId
  }
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) {
    throw new AppError(
      'damaged',
      `${file} does not hold a node id. Restore it from a copy, or remove it if this node was never part of a ring.`,
    )
  }
  return text as NodeId
}
