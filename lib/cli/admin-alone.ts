/** Runs an admin operation without a node: opens the database, works, closes it. */
import { runAdminOperation } from '../accounts/index.js'
import type { Config, DataDirectory } from '../config/index.js'
import { openDatabase } from '../database/index.js'
import { createLog } from '../log.js'

export async function runAdminAlone(
  config: Config,
  directory: DataDirectory,
  operation: string,
  argument: unknown,
): Promise<unknown> {
  const url = config.database.url?.reveal()
  const log = createLog('interval:database')
  const database = await openDatabase({ url, directory: directory.path, log })
  try {
    await database.migrate()
    return await runAdminOperation(database, operation, argument)
  } finally {
    await database.close()
  }
}
