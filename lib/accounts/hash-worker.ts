/**
 * A thread that hashes passwords, one at a time, and gives way to everything else: on Linux, where cores are short, it gets
 * a third of what any other thread gets, so that a flood of sign-ins is slow for those who sign in before it is for others.
 */
import { type ScryptOptions, scryptSync } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'

export interface HashWork {
  readonly password: string
  readonly salt: Uint8Array
  readonly length: number
  readonly options: ScryptOptions
}

/** A third of the usual share; at 19 it would be a seventieth, and signing in to a busy node take half a minute. */
const priority = 5

try {
  // On Linux a thread has a priority of its own, under the last number of this path.
  const thread = Number(/\d+$/.exec(readlinkSync('/proc/thread-self'))?.[0])
  if (thread > 0) setPriority(thread, priority)
} catch {
  // Elsewhere all threads of a process have one priority.
}

parentPort?.on('message', ({ length, options, password, salt }: HashWork) => {
  parentPort?.postMessage(scryptSync(password, salt, length, options))
})
