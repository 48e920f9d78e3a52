/**
 * A thread that hashes passwords, one at a time, and gives way to everything else: on Linux it takes a core only while no
 * other thread of the node wants it, so that a flood of sign-ins is slow for those who sign in, and for nobody else.
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

/** As much as anybody may give way. */
const priority = 19

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
