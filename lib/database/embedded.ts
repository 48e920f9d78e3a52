/**
 * Keeps the process of the embedded Postgres: starts it, starts it again when it dies, ends it.
 *
 * Only this user may connect: the socket lies in a directory of mode 0700. The path of a unix socket may have about
 * a hundred characters; where the data directory is deeper than that, the socket goes into a fresh directory under
 * the system's temporary one.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import type { EmbeddedReport } from './embedded-process.js'

/** Postgres clients derive the file's name from the port. */
const port = 5432
const socketPathCharactersMax = 100
const restartWaitMsMax = 5_000
const stopMsMax = 5_000

export interface EmbeddedPostgres {
  /** Directory of the socket, given to a client as its host. */
  readonly socketDirectory: string
  readonly port: number
  /** The process of the moment, for tests and diagnosis. */
  pid(): number | undefined
  close(): Promise<void>
}

export interface EmbeddedOptions {
  /** Data directory of the node; the database lies in `postgres` below it. */
  readonly directory: string
  readonly log: Log
  readonly onProgress?: ((text: string) => void) | undefined
}

/** Resolves when the database takes connections. Rejects with `unavailable` when it cannot be started. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 })
  const dataDirectory = resolve(options.directory, 'postgres')
  const { socketDirectory, temporary } = prepareSocketDirectory(options.directory)
  const socketPath = join(socketDirectory, `.s.PGSQL.${port}`)
  let child: ChildProcess | undefined
  let closing = false
  let failures = 0
  let restartTimer: NodeJS.Timeout | undefined

  const start = (): Promise<void> =>
    new Promise((fulfil, reject) => {
      const script = fileURLToPath(new URL('./embedded-process.js', import.meta.url))
      const started = fork(script, [dataDirectory, socketPath], {
        // Nothing of the node's environment, which holds secrets, and none of its loaders.
        env: { TZ: 'UTC' },
        execArgv: [],
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      })
      child = started
      let outcome: 'starting' | 'created' | 'ready' = 'starting'
      let reason = ''
      started.on('message', message => {
        const report = message as EmbeddedReport
        if (report.type === 'progress') options.onProgress?.(report.text)
        if (report.type === 'failed') reason = report.message
        if (report.type === 'created') outcome = 'created'
        if (report.type === 'ready') {
          outcome = 'ready'
          failures = 0
          fulfil()
        }
      })
      started.on('error', error => {
        reason = error.message
      })
      started.once('exit', (code, signal) => {
        if (child === started) child = undefined
        if (closing) return reject(new AppError('unavailable', 'The embedded database was closed.'))
        if (outcome === 'created') return start().then(fulfil, reject)
        const words = reason || `it ended with ${signal ?? `code ${code ?? 'unknown'}`}`
        if (outcome === 'ready') {
          options.log.warn('embedded.restarting', { reason: words })
          restartLater()
        }
        reject(new AppError('unavailable', `The embedded database does not start: ${words}`))
      })
    })

  const restartLater = (): void => {
    const waitMs = failures === 0 ? 0 : Math.min(100 * 2 ** failures, restartWaitMsMax)
    failures += 1
    restartTimer = setTimeout(() => {
      start().catch((error: unknown) => {
        if (closing || child) return
        options.log.error('embedded.not-started', {
          reason: error instanceof Error ? error.message : String(error),
        })
        restartLater()
      })
    }, waitMs)
  }

  const close = async (): Promise<void> => {
    closing = true
    clearTimeout(restartTimer)
    const running = child
    if (running && running.exitCode === null && running.signalCode === null) {
      await new Promise<void>(fulfil => {
        const timer = setTimeout(() => running.kill('SIGKILL'), stopMsMax)
        running.once('exit', () => {
          clearTimeout(timer)
          fulfil()
        })
        if (running.connected) running.send('stop', () => {})
      })
    }
    if (temporary) rmSync(socketDirectory, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await close()
    throw error
  }
  return { socketDirectory, port, pid: () => child?.pid, close }
}

function prepareSocketDirectory(directory: string): { socketDirectory: string; temporary: boolean } {
  const beside = resolve(directory, 'postgres-socket')
  if (Buffer.byteLength(join(beside, `.s.PGSQL.${port}`)) <= socketPathCharactersMax) {
    if (!existsSync(beside)) mkdirSync(beside, { mode: 0o700 })
    chmodSync(beside, 0o700)
    return { socketDirectory: beside, temporary: false }
  }
  return { socketDirectory: mkdtempSync(join(tmpdir(), 'interval-server-')), temporary: true }
}
