/**
 * One Postgres, whichever: a server given by its address, or the embedded one. Everything above sees a `pg` pool.
 *
 * Rules for code that runs on both: short transactions, never another client inside one (the embedded database lets
 * nobody else in until it ends), no LISTEN, no advisory locks, no named statements, no session settings.
 *
 * What can go wrong: the database goes away. Then every call rejects with `unavailable` within `connectMsMax`, and
 * works again by itself when the database is back. A transaction that takes longer than `transactionMsMax` loses its
 * connection, so that it cannot hold up the others.
 */
import pg from 'pg'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import { startEmbedded } from './embedded.js'
import { type MigrationResult, migrate } from './migrations.js'

const connectMsMax = 5_000
const statementMsMax = 30_000
const transactionMsMax = 15_000
const urgentMsMax = 2_000
/** One for what is read, one for what is changed: neither waits for the other. */
const urgentPoolSizeMax = 2
const healthMsMax = 2_000
const poolSizeMax = 10
/** The embedded database does one thing at a time; more connections only queue inside it. */
const embeddedPoolSizeMax = 4

export interface DatabaseOptions {
  /** Address of a Postgres; without it the embedded one is started. */
  readonly url?: string | undefined
  /** Data directory of the node, for the embedded database. */
  readonly directory?: string | undefined
  readonly log: Log
  /** Says what takes long: "creating the database …". */
  readonly onProgress?: (text: string) => void
  /** Connections of this node to a given Postgres. */
  readonly poolSizeMax?: number
}

/** What runs statements: the pool, or the one client of a transaction. */
export interface Queryable {
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>
}

export interface Database extends Queryable {
  readonly pool: pg.Pool
  readonly embedded: boolean
  /**
   * For statements that somebody waits for who has better things to do: connections of their own, kept open, that no
   * other work can use up. Each statement is given up after two seconds; it may still be carried out later.
   */
  readonly urgent: Queryable
  /** Address under which another process of this user reaches the same database. Holds a password where one is set. */
  readonly url: string
  /** Runs `work` in one transaction; rolls back when it rejects. */
  transaction<T>(work: (client: Queryable) => Promise<T>): Promise<T>
  /** Brings the schema up to date; safe when several nodes do it at once. */
  migrate(): Promise<MigrationResult>
  /** True when a statement is answered within two seconds. */
  healthy(): Promise<boolean>
  close(): Promise<void>
}

/** Opens the database. Rejects with `unavailable` when it cannot be reached or started. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  if (options.url !== undefined) {
    const database = poolDatabase(
      { connectionString: options.url, max: options.poolSizeMax ?? poolSizeMax },
      { url: options.url, embedded: false, log: options.log, onClose: async () => {} },
    )
    try {
      await database.query('select 1')
    } catch (error) {
      await database.close()
      throw unreachable(error, options.url)
    }
    return database
  }
  if (options.directory === undefined) throw new Error('openDatabase needs a url or a directory')
  const embedded = await startEmbedded({
    directory: options.directory,
    log: options.log,
    onProgress: options.onProgress,
  })
  return poolDatabase(
    {
      host: embedded.socketDirectory,
      port: embedded.port,
      user: 'postgres',
      database: 'postgres',
      max: embeddedPoolSizeMax,
    },
    {
      url: `postgresql://postgres@localhost:${embedded.port}/postgres?host=${encodeURIComponent(embedded.socketDirectory)}`,
      embedded: true,
      log: options.log,
      onClose: embedded.close,
    },
  )
}

function poolDatabase(
  config: pg.PoolConfig,
  options: { url: string; embedded: boolean; log: Log; onClose: () => Promise<void> },
): Database {
  const pool = new pg.Pool({
    ...config,
    connectionTimeoutMillis: connectMsMax,
    query_timeout: statementMsMax,
    idleTimeoutMillis: 30_000,
    application_name: 'interval-server',
    keepAlive: true,
  })
  // An idle connection that breaks is replaced by the pool; unheard, its error would end the process.
  const onBroken = (error: Error) => options.log.warn('database.connection-broken', { reason: error.message })
  pool.on('error', onBroken)

  let urgentPool: pg.Pool | undefined
  const openUrgent = () => {
    urgentPool = new pg.Pool({
      ...config,
      max: urgentPoolSizeMax,
      connectionTimeoutMillis: urgentMsMax,
      query_timeout: urgentMsMax,
      // Never closed for being idle: what is urgent must not wait for a connection first.
      idleTimeoutMillis: 0,
      application_name: 'interval-server',
      keepAlive: true,
    })
    urgentPool.on('error', onBroken)
    return urgentPool
  }

  const transaction = async <T>(work: (client: Queryable) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch((error: unknown) => {
      throw translated(error)
    })
    let broken: Error | undefined
    const onError = (error: Error): void => {
      broken = error
    }
    client.on('error', onError)
    const timer = setTimeout(() => {
      broken = new AppError('timeout', 'The database transaction took too long.')
      // Ends the connection under the work; the database rolls back.
      void (client as unknown as pg.Client).end().catch(() => {})
    }, transactionMsMax)
    try {
      await client.query('begin')
      const result = await work(queryable(client))
      await client.query('commit')
      return result
    } catch (error) {
      if (!broken) {
        await client.query('rollback').catch((failure: Error) => {
          broken = failure
        })
      }
      throw translated(error)
    } finally {
      clearTimeout(timer)
      client.off('error', onError)
      client.release(broken)
    }
  }

  let closed: Promise<void> | undefined
  const database: Database = {
    pool,
    embedded: options.embedded,
    url: options.url,
    ...queryable(pool),
    urgent: {
      query: (text, values) => {
        if (closed) return Promise.reject(new AppError('unavailable', 'The database is not available.'))
        return queryable(urgentPool ?? openUrgent()).query(text, values)
      },
    },
    transaction,
    migrate: () => migrate(transaction),
    async healthy() {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<boolean>(fulfil => {
        timer = setTimeout(() => fulfil(false), healthMsMax)
      })
      const answered = pool.query('select 1').then(
        () => true,
        () => false,
      )
      const result = await Promise.race([answered, late])
      clearTimeout(timer)
      return result
    },
    close() {
      closed ??= Promise.all([pool.end().catch(() => {}), urgentPool?.end().catch(() => {})]).then(
        options.onClose,
      )
      return closed
    },
  }
  return database
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name cannot be resolved',
  ENOENT: 'there is no such socket',
}

/** Says at a start which setting is wrong, where it points, and what to do. User and password are never part of it. */
function unreachable(error: unknown, url: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'unavailable') {
    if (!(error instanceof pg.DatabaseError)) return error
  }
  const cause = error instanceof AppError ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
  const reason =
    cause instanceof pg.DatabaseError ? cause.message : (reasons[code ?? ''] ?? code ?? 'no answer')
  const advice =
    code === unknownDatabase
      ? 'Make it with: interval-server db-init'
      : 'Start it, or correct the address (postgres://user:password@host:5432/name).'
  const message = `The database that database:url (DATABASE_URL) names cannot be used at ${placeOf(url)}: ${reason}. ${advice}`
  return new AppError('unavailable', message, { cause })
}

/** Host, port and name out of an address. */
function placeOf(url: string): string {
  try {
    const { host, port, searchParams, pathname } = new URL(url)
    const shown = searchParams.get('host') ?? (port === '' ? `${host}:5432` : host)
    return `${shown}${pathname === '/' ? '' : pathname}`
  } catch {
    return 'its address'
  }
}

/** Narrows a pool or client to statements, with our errors. */
function queryable(target: pg.Pool | pg.PoolClient): Queryable {
  return {
    async query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]) {
      try {
        return await target.query<Row>(text, values === undefined ? undefined : [...values])
      } catch (error) {
        throw translated(error)
      }
    },
  }
}

const uniqueViolation = '23505'
const foreignKeyViolation = '23503'
const unknownDatabase = '3D000'
/** A zero character, which text in Postgres cannot hold: whoever sent it sent nothing that could be there. */
const refusedText = new Set(['22021', '22P05'])
/** Classes of SQLSTATE that mean the server or the connection is going: connection, resources, operator, system. */
const goneClasses = new Set(['08', '53', '57', '58'])

/** The name of the constraint, when the error says that something exists already or refers to nothing. */
export function violatedConstraint(error: unknown): string | null {
  const cause = error instanceof AppError ? error.cause : error
  return cause instanceof pg.DatabaseError &&
    [uniqueViolation, foreignKeyViolation].includes(cause.code ?? '')
    ? (cause.constraint ?? '')
    : null
}

/** Errors of the connection become `unavailable`, violated uniqueness `conflict`, text that cannot be stored `bad-request`; the rest are a programmer's. */
function translated(error: unknown): unknown {
  if (error instanceof AppError) return error
  if (error instanceof pg.DatabaseError) {
    if (error.code === uniqueViolation) return new AppError('conflict', undefined, { cause: error })
    if (error.code === foreignKeyViolation) return new AppError('not-found', undefined, { cause: error })
    if (refusedText.has(error.code ?? '')) {
      return new AppError('bad-request', 'Text must not hold a zero character.', { cause: error })
    }
    return goneClasses.has(error.code?.slice(0, 2) ?? '')
      ? new AppError('unavailable', 'The database is not available.', { cause: error })
      : error
  }
  // What is not an answer of the server is a failure on the way to it.
  return error instanceof TypeError || error instanceof RangeError
    ? error
    : new AppError('unavailable', 'The database is not available.', { cause: error })
}
