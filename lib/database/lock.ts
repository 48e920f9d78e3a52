/**
 * A lock file that names the process that holds it. The process may have been killed, so the file alone proves
 * nothing: it counts only while that process runs and (where the system tells) still is what it was, since process
 * ids are used again, in containers at once.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const pollMs = 25

/** True when the process runs and its command line contains `owner` (only checked where /proc exists). */
function holds(pid: number, owner: string): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(owner)
  } catch {
    // No /proc, or it ended in between; the next round tells.
    return true
  }
}

/**
 * Takes the lock, waiting up to `waitMs` for its holder to end. `owner` is an argument on the command line of every
 * process that may hold it. Returns a function that gives it back.
 */
export async function acquireLock(
  path: string,
  options: { owner: string; waitMs: number },
): Promise<() => void> {
  const candidate = `${path}.${process.pid}`
  const deadlineMs = performance.now() + options.waitMs
  try {
    writeFileSync(candidate, String(process.pid), { mode: 0o600 })
    for (;;) {
      try {
        // Unlike open-and-write, a link appears together with its content.
        linkSync(candidate, path)
        let held = true
        return () => {
          if (held) rmSync(path, { force: true })
          held = false
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      let text: string
      try {
        text = readFileSync(path, 'utf8')
      } catch {
        continue
      }
      const pid = Number(text)
      if (!Number.isInteger(pid) || pid <= 0 || !holds(pid, options.owner)) {
        if (readFileSync(path, { encoding: 'utf8', flag: 'r' }) === text) rmSync(path, { force: true })
        continue
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`${options.owner} is in use by process ${pid}`)
      }
      await sleep(pollMs)
    }
  } finally {
    rmSync(candidate, { force: true })
  }
}
