/**
 * One process at a time works on a data directory. The second is refused, and told who the first is.
 *
 * Invariant: of any number of processes that try at once, one gets the lock. The lock is a file that appears complete:
 * it is written under another name and then linked, which fails if the name is taken. What can go wrong: the holder is
 * killed and its file stays. Then the next one may take it over once the holder is known to be gone: by its process
 * (process-identity.ts), or, when it ran on another host or in another container, once it has not touched the file for
 * a while. Two that take over at once are kept apart by a second link, held for the moment of the exchange.
 */
import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, rmSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { AppError } from '../errors.js'
import type { Processes, ProcessIdentity } from './process-identity.js'

export interface LockHolder extends ProcessIdentity {
  /** Tells two holders apart that look the same otherwise. */
  readonly token: string
  /** The command that holds it, e.g. `run`. */
  readonly command: string
  /** Where the node can be reached; null for commands that are not a node. */
  readonly address: string | null
  /** ISO time. */
  readonly since: string
  /** Path of the admin socket. */
  readonly adminSocket: string
}

export interface DirectoryLock {
  readonly holder: LockHolder
  /** True as long as the file is still this holder's. */
  isHeld(): boolean
  release(): void
}

export interface LockOptions {
  readonly processes: Processes
  /** Wall-clock time in ms. */
  readonly nowMs: () => number
  readonly command: string
  readonly address: string | null
  readonly adminSocket: string
  /** How long to wait for a short-lived holder (any command but `run`) to end. */
  readonly waitMs?: number
}

/** The holder touches its file this often; only holders elsewhere are judged by it. */
const touchMs = 2_000
/** A holder elsewhere that has not touched its file for this long is gone. */
const silentMsMax = 10_000
const retryMs = 100
/** An exchange takes well under a millisecond; one this old was interrupted. */
const exchangeMsMax = 5_000

/**
 * Takes the lock of an existing directory. Rejects with `conflict`, naming the holder, when another process has it.
 * After `kill -9` of a holder elsewhere this waits up to 10 s; otherwise it answers at once, or after `waitMs`.
 */
export async function lockDirectory(path: string, options: LockOptions): Promise<DirectoryLock> {
  const file = join(path, 'lock')
  const holder: LockHolder = {
    ...options.processes.own,
    token: randomUUID(),
    command: options.command,
    address: options.address,
    since: new Date(options.nowMs()).toISOString(),
    adminSocket: options.adminSocket,
  }
  const draft = join(path, `lock.${holder.token}`)
  writeFileSync(draft, `${JSON.stringify(holder)}\n`, { mode: 0o600, flag: 'wx' })
  try {
    const deadlineMs = options.nowMs() + (options.waitMs ?? 0)
    // The last touch of a holder elsewhere, to see whether it moves. Its clock need not agree with ours.
    let touched: { readonly mtimeMs: number; readonly seenMs: number } | null = null
    while (!tryLink(draft, file)) {
      const found = readLock(file)
      if (found === null) continue
      const liveness = found === 'damaged' ? 'gone' : options.processes.livenessOf(found)
      if (liveness === 'gone') {
        takeOver(file, found, options.nowMs)
        await wait(1)
        continue
      }
      if (found === 'damaged') continue
      const mayEnd = found.command !== 'run' && options.nowMs() < deadlineMs
      if (liveness === 'elsewhere') {
        const mtimeMs = mtimeOf(file)
        if (mtimeMs === null) continue
        if (touched === null) touched = { mtimeMs, seenMs: options.nowMs() }
        if (touched.mtimeMs !== mtimeMs && !mayEnd) throw refusal(path, found)
        if (touched.mtimeMs === mtimeMs && options.nowMs() - touched.seenMs > silentMsMax) {
          takeOver(file, found, options.nowMs)
          touched = null
          continue
        }
      } else if (!mayEnd) throw refusal(path, found)
      await wait(retryMs)
    }
  } finally {
    rmSync(draft, { force: true })
  }
  const isHeld = (): boolean => {
    const found = readLock(file)
    return found !== null && found !== 'damaged' && found.token === holder.token
  }
  const timer = setInterval(() => {
    try {
      utimesSync(file, new Date(), new Date())
    } catch {
      // The file is gone or the disk is: whoever needs to know asks isHeld().
    }
  }, touchMs)
  timer.unref()
  return {
    holder,
    isHeld,
    release() {
      clearInterval(timer)
      if (isHeld()) rmSync(file, { force: true })
    },
  }
}

/** Who holds the directory right now, or null. A holder that is gone counts as none. */
export function lockHolderOf(path: string, processes: Processes): LockHolder | null {
  const found = readLock(join(path, 'lock'))
  if (found === null || found === 'damaged') return null
  return processes.livenessOf(found) === 'gone' ? null : found
}

function refusal(path: string, holder: LockHolder): AppError {
  const who = holder.command === 'run' ? 'a node' : `\`${holder.command}\``
  const where = holder.address === null ? '' : ` at ${holder.address}`
  return new AppError(
    'conflict',
    `The data directory ${path} is in use by ${who}${where} (pid ${holder.pid} on ${holder.hostname}, since ${holder.since}). Stop it first, or give this one its own --storage:path.`,
  )
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function mtimeOf(file: string): number | null {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? null
}

function readLock(file: string): LockHolder | 'damaged' | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  try {
    const holder: unknown = JSON.parse(text)
    return isHolder(holder) ? holder : 'damaged'
  } catch {
    // It is linked complete, so this is a file that lost its content in a power failure.
    return 'damaged'
  }
}

function isHolder(value: unknown): value is LockHolder {
  if (typeof value !== 'object' || value === null) return false
  const { pid, token, hostname, command } = value as Partial<LockHolder>
  return (
    typeof pid === 'number' &&
    typeof token === 'string' &&
    typeof hostname === 'string' &&
    typeof command === 'string'
  )
}

/** Removes the lock of a holder that is gone, unless somebody else has replaced it meanwhile. */
function takeOver(file: string, judged: LockHolder | 'damaged', nowMs: () => number): void {
  const exchange = `${file}.exchange`
  const startedMs = mtimeOf(exchange)
  if (startedMs !== null) {
    if (nowMs() - startedMs > exchangeMsMax) rmSync(exchange, { force: true })
    return
  }
  try {
    writeFileSync(exchange, '', { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return
    throw error
  }
  try {
    const found = readLock(file)
    const isSame =
      found === 'damaged' || judged === 'damaged' ? found === judged : found?.token === judged.token
    if (isSame) unlinkSync(file)
  } finally {
    rmSync(exchange, { force: true })
  }
}
