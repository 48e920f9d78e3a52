/**
 * The embedded Postgres: PGlite behind a unix socket, in a process of its own, so that a query never holds up the
 * event loop of the node. Started only by `embedded.ts`.
 *
 * Invariants: one process per data directory (a lock file that names it), and none outlives its parent: the channel to
 * the parent closes when the parent ends, however it ends. A directory is either whole or absent: it is created under
 * another name and renamed when it is complete, by a process that then ends, which also gives back the half gigabyte
 * that creating takes.
 *
 * What can go wrong: PGlite has one session. Messages of two clients must not mix between Parse and Sync, and the
 * queue in front of it keeps clients apart only inside transactions; `exclusive` extends that to whole exchanges.
 */
import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { acquireLock } from './lock.js'

/** What the parent hears. */
export type EmbeddedReport =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'created' }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly message: string }

const lockWaitMs = 10_000
const closeMsMax = 3_000
const connectionsMax = 64
/**
 * How much a function of Postgres runs, in bytes executed as V8 counts them, before V8 compiles it again, optimised. Its
 * own figure of 1.8 million is passed by hundreds of functions while a node starts, and optimising them takes twice the
 * processor time of the whole start; what a large table is read with passes this one within seconds.
 */
const bytesBeforeOptimising = 1_800_000_000

function report(message: EmbeddedReport): void {
  if (process.connected) process.send?.(message)
}

/** Says why and ends; the parent starts a new one. */
function fail(error: unknown): void {
  const message = describe(error)
  if (!process.connected) process.exit(1)
  process.send?.({ type: 'failed', message } satisfies EmbeddedReport, () => process.exit(1))
}

/** WebAssembly's number for a disk without room. */
const noSpace = 51

/** PGlite's file system throws objects that are no errors, with a number as WebAssembly counts them. */
function describe(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'errno' in error)
    return error.errno === noSpace ? 'the disk is full' : `its files cannot be used (${String(error.errno)})`
  return error instanceof Error ? error.message : String(error)
}

/** Gives one client the session from the first message of an exchange to its Sync. */
function exclusive(database: PGlite, onBroken: (error: unknown) => void): PGlite {
  // Parse, Bind, Describe, Execute, Close, Flush open an exchange; Sync and a simple Query end it.
  const opening = new Set(['P', 'B', 'D', 'E', 'C', 'H'].map(letter => letter.charCodeAt(0)))
  const ending = new Set(['S', 'Q'].map(letter => letter.charCodeAt(0)))
  let inExchange = false
  const overrides: Partial<PGlite> = {
    isInTransaction: () => inExchange || database.isInTransaction(),
    async exec(query, options) {
      // Only the clean-up after a client that went away in the middle comes this way.
      inExchange = false
      return database.exec(query, options)
    },
    async execProtocolRawStream(message, options) {
      const kind = message[0]
      if (kind !== undefined && opening.has(kind)) inExchange = true
      if (kind !== undefined && ending.has(kind)) inExchange = false
      try {
        return await database.execProtocolRawStream(message, options)
      } catch (error) {
        onBroken(error)
        throw error
      }
    },
  }
  return new Proxy(database, {
    get(target, property) {
      const own: unknown = Reflect.get(overrides, property)
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function create(directory: string): Promise<void> {
  report({ type: 'progress', text: 'creating the database …' })
  const unfinished = `${directory}.new`
  rmSync(unfinished, { recursive: true, force: true })
  const database = await PGlite.create({ dataDir: unfinished })
  await database.close()
  renameSync(unfinished, directory)
  report({ type: 'created' })
}

async function serve(directory: string, socketPath: string): Promise<() => Promise<void>> {
  // PGlite would make a new, empty database of it: everybody's account would be gone, and the set-up open to anybody.
  if (!existsSync(join(directory, 'PG_VERSION')))
    throw new Error(`${directory} is damaged: PG_VERSION is missing`)
  report({ type: 'progress', text: 'opening the database …' })
  const database = await PGlite.create({ dataDir: directory }).catch((error: unknown) => {
    // What it says itself is about its own build.
    const reason = /^Aborted/.test(describe(error)) ? 'Postgres gave up' : describe(error)
    throw new Error(`${directory} cannot be opened (${reason}): restore it from a copy`, { cause: error })
  })
  rmSync(socketPath, { force: true })
  const server = new PGLiteSocketServer({
    db: exclusive(database, fail),
    path: socketPath,
    maxConnections: connectionsMax,
  })
  await server.start()
  report({ type: 'ready' })
  return async () => {
    await server.stop()
    await database.close()
    rmSync(socketPath, { force: true })
  }
}

async function main(): Promise<void> {
  // Set from within: a V8 that does not know the flag goes on without it.
  setFlagsFromString(`--wasm-tiering-budget=${bytesBeforeOptimising}`)
  const [directory, socketPath] = process.argv.slice(2)
  if (directory === undefined || socketPath === undefined) throw new Error('two paths are needed')
  // A terminal signals the whole process group; the parent decides when the database may go.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

  let stop = async (): Promise<void> => {}
  let releaseLock = (): void => {}
  let ending = false
  const end = (): void => {
    if (ending) return
    ending = true
    const timer = setTimeout(() => process.exit(0), closeMsMax)
    timer.unref()
    stop()
      .catch(() => {})
      .finally(() => {
        releaseLock()
        process.exit(0)
      })
  }
  process.on('disconnect', end)
  process.on('message', message => {
    if (message === 'stop') end()
  })

  releaseLock = await acquireLock(`${directory}.lock`, { owner: directory, waitMs: lockWaitMs })
  process.on('exit', () => releaseLock())
  if (!process.connected) return end()
  if (!existsSync(directory)) {
    await create(directory)
    return end()
  }
  stop = await serve(directory, socketPath)
  if (!process.connected) end()
}

main().catch(fail)
