/** Runs an admin operation without a node: opens the database, works, closes it. */
import { createAccounts, runAdminOperation } from '../accounts/index.js'
import type { Config, DataDirectory } from '../config/index.js'
import { openDatabase } from '../database/index.js'
import { createLog } from '../log.js'
import { addressOf } from './run.js'

export async function runAdminAlone(
  config: Config,
  directory: DataDirectory,
  operation: string,
  argument: unknown,
): Promise<unknown> {
  const log = createLog('interval:cli')
  const database = await openDatabase({
    url: config.database.url?.reveal(),
    directory: directory.path,
    log,
  })
  try {
    await database.migrate()
    const accounts = createAccounts({
      database,
      log,
      clock: { nowMs: Date.now },
      secret: directory.secrets.cookie.reveal(),
      appUrl: config.app.url ?? addressOf(config),
      signUp: config.accounts.signup,
    })
    try {
      return await runAdminOperation(operation, argument, { accounts })
    } finally {
      await accounts.close()
    }
  } finally {
    await database.close()
  }
}
