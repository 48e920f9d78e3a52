/**
 * Recognises a process again, so that a lock left behind by `kill -9` is not mistaken for a living holder.
 *
 * A pid alone proves nothing: it is reused, and in a container every node has pid 1. With the time the process was
 * started (from /proc) and the id of the boot, equal means the same process. Where /proc does not exist, the pid has
 * to do.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

export interface ProcessIdentity {
  readonly pid: number
  /** Start time in ticks since boot; null where the system does not tell. */
  readonly startTicks: string | null
  readonly bootId: string | null
  /** Pids mean something only within one host (or one container). */
  readonly hostname: string
}

/** `elsewhere`: on another host or in another container, where its pid cannot be checked from here. */
export type Liveness = 'alive' | 'gone' | 'elsewhere'

export interface Processes {
  readonly own: ProcessIdentity
  livenessOf(identity: ProcessIdentity): Liveness
}

/** The processes of this machine. */
export function systemProcesses(pid: number = process.pid): Processes {
  const own: ProcessIdentity = { pid, startTicks: startTicksOf(pid), bootId: bootId(), hostname: hostname() }
  return {
    own,
    livenessOf(identity) {
      if (identity.hostname !== own.hostname) return 'elsewhere'
      if (identity.bootId !== own.bootId) return 'gone'
      if (identity.startTicks !== null) {
        return startTicksOf(identity.pid) === identity.startTicks ? 'alive' : 'gone'
      }
      return existsPid(identity.pid) ? 'alive' : 'gone'
    },
  }
}

/** Field 22 of /proc/<pid>/stat. The name in field 2 may hold spaces and parentheses, so counting starts after the last one. */
function startTicksOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended; only its parent has not looked yet.
    return fields[0] === 'Z' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}

function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return null
  }
}

function existsPid(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
