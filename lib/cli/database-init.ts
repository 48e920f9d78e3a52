/** `db-init`: creates the database if needed and brings its schema up to date. `run` applies migrations as well. */
import { openDataDirectory } from '../config/index.js'
import type { Database } from '../database/index.js'
import { createLog } from '../log.js'
import { type Command, type CommandIo, UsageError } from './command.js'

/** How long to wait for another short-lived command on the data directory, in ms. */
const waitMs = 10_000

export const databaseInitCommand: Command = {
  name: 'db-init',
  usage: '[--skip-create]',
  summary: 'creates the database if needed and applies migrations; `run` also applies them',
  details: [
    'Works on database:url, without psql, or on the embedded database of the data directory.',
    'With --skip-create the database must exist already: for users that may not create one.',
  ],
  flags: [{ name: 'skip-create', takesValue: false, description: 'do not try to create the database' }],
  async run({ words, flags, io, configuration }) {
    if (words.length > 0) throw new UsageError(`Unexpected ${JSON.stringify(words[0])}.`)
    const { config } = configuration()
    const { createDatabase, openDatabase } = await import('../database/index.js')
    const log = createLog('interval:database')
    const onProgress = (text: string): void => io.print(text)
    if (config.database.url !== null) {
      const url = config.database.url.reveal()
      const name = decodeURIComponent(new URL(url).pathname.slice(1))
      if (flags.has('skip-create')) io.print(`database ${name}: not created, as asked`)
      else if (await createDatabase(url)) io.print(`database ${name}: created`)
      else io.print(`database ${name}: exists`)
      return await migrate(await openDatabase({ url, log, onProgress }), io)
    }
    const directory = await openDataDirectory(config.storage.path, {
      secrets: config.secrets,
      command: 'db-init',
      waitMs,
    })
    try {
      io.print(`embedded database in ${directory.postgresPath}`)
      return await migrate(await openDatabase({ directory: directory.path, log, onProgress }), io)
    } finally {
      directory.close()
    }
  },
}

async function migrate(database: Database, io: CommandIo): Promise<number> {
  try {
    const { applied } = await database.migrate()
    for (const name of applied) io.print(`applied ${name}`)
    io.print(applied.length === 0 ? 'the schema was up to date' : 'the schema is up to date')
    return 0
  } finally {
    await database.close()
  }
}
