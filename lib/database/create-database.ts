/** Creates the database that an address names, for a first installation on a Postgres server; needs no `psql`. */
import pg from 'pg'
import { AppError } from '../errors.js'

const connectMsMax = 10_000
const duplicateDatabase = '42P04'
const uniqueViolation = '23505'
const unknownDatabase = '3D000'

/**
 * Creates the database when it does not exist. True when it was created. Rejects with `unavailable` when the server
 * cannot be reached and with `forbidden` when the user may not create databases.
 */
export async function createDatabase(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: connectMsMax })
  const name = client.database
  if (!name) throw new AppError('invalid-value', 'The database address names no database.')
  try {
    await client.connect()
    return false
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === unknownDatabase)) throw unreachable(error)
  } finally {
    await client.end().catch(() => {})
  }

  const address = new URL(url)
  address.pathname = '/postgres'
  const maintenance = new pg.Client({
    connectionString: address.toString(),
    connectionTimeoutMillis: connectMsMax,
  })
  try {
    await maintenance.connect()
    await maintenance.query(`create database ${maintenance.escapeIdentifier(name)}`)
    return true
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? error.code : undefined
    // Another node was faster.
    if (code === duplicateDatabase || code === uniqueViolation) return false
    if (code === '42501') {
      throw new AppError('forbidden', `The database user may not create the database "${name}".`, {
        cause: error,
      })
    }
    throw unreachable(error)
  } finally {
    await maintenance.end().catch(() => {})
  }
}

function unreachable(error: unknown): AppError {
  const reason = error instanceof Error ? error.message : String(error)
  return new AppError('unavailable', `The database cannot be reached: ${reason}`, { cause: error })
}
