/**
 * The threads that hash passwords: started when they are first needed, as many as hash at once, and kept. They are not
 * those of Node's pool, which LevelDB needs.
 *
 * Invariant: a thread has one hash at a time. What can go wrong: a thread ends, for want of memory. Then its hash fails
 * with `unavailable`, and the next one gets another thread.
 */
import type { ScryptOptions } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { AppError } from '../errors.js'
import type { HashWork } from './hash-worker.js'

const script = new URL('./hash-worker.js', import.meta.url)
/** Of this process, whoever asks. */
const idle: Worker[] = []

/** scrypt (RFC 7914) of a password, by a thread of low priority. Rejects with `unavailable`. */
export function scryptInWorker(
  password: string,
  salt: Uint8Array,
  length: number,
  options: ScryptOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const worker = idle.pop() ?? start()
    let cause: unknown
    const failed = (error: unknown): void => {
      cause = error
    }
    const ended = (): void => reject(new AppError('unavailable', undefined, { cause }))
    worker.once('error', failed)
    worker.once('exit', ended)
    worker.once('message', (hash: Uint8Array) => {
      worker.off('error', failed)
      worker.off('exit', ended)
      // An idle thread keeps no process alive.
      worker.unref()
      idle.push(worker)
      resolve(Buffer.from(hash))
    })
    worker.ref()
    worker.postMessage({ password, salt, length, options } satisfies HashWork)
  })
}

function start(): Worker {
  // Nothing of the node's environment, which holds secrets, and none of its loaders.
  const worker = new Worker(script, { env: {}, execArgv: [] })
  worker.on('error', () => undefined)
  worker.on('exit', () => {
    const at = idle.indexOf(worker)
    if (at >= 0) idle.splice(at, 1)
  })
  return worker
}
