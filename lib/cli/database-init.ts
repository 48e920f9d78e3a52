/** `db-init`: creates the database if needed and brings its schema up to date. `run` applies migrations as well. */
import { resolve } from 'node:path'
import { type ConfiguredSecrets, openDataDirectory } from '../config/index.js'
import type { Database } from '../database/index.js'
import { createLog } from '../log.js'
import { type Command, type CommandIo, UsageError } from './command.js'

/** How long to wait for another short-lived command on the data directory, in ms. */
const waitMs = 10_000

export const databaseInitCommand: Command = {
  name: 'db-init',
  usage: '[--skip-create] [--from DIR]',
  summary: 'creates the database if needed and applies migrations; `run` also applies them',
  details: [
    'Works on database:url, without psql, or on the embedded database of the data directory.',
    'With --skip-create the database must exist already: for users that may not create one.',
    'With --from DIR, accounts and history of the embedded database in the data directory DIR are copied into',
    'database:url: the first step when a node alone becomes the first of several.',
  ],
  flags: [
    { name: 'skip-create', takesValue: false, description: 'do not try to create the database' },
    { name: 'from', takesValue: true, description: 'data directory whose embedded database is copied' },
  ],
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
      const from = flags.get('from')
      const database = await openDatabase({ url, log, onProgress })
      return typeof from === 'string'
        ? await move(from, database, config.secrets, io)
        : await migrate(database, io)
    }
    if (flags.has('from')) throw new UsageError('--from needs database:url (DATABASE_URL), where to copy to.')
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

/** Copies the embedded database of a data directory that no node runs on. */
async function move(path: string, to: Database, secrets: ConfiguredSecrets, io: CommandIo): Promise<number> {
  const { moveDatabase, openDatabase } = await import('../database/index.js')
  try {
    await to.migrate()
    const directory = await openDataDirectory(resolve(path), {
      secrets,
      command: 'db-init',
      waitMs,
      create: false,
    })
    try {
      const log = createLog('interval:database')
      const from = await openDatabase({ directory: directory.path, log, onProgress: text => io.print(text) })
      try {
        await from.migrate()
        await moveDatabase(from, to, (table, rows) => io.print(`${table}: ${rows}`))
      } finally {
        await from.close()
      }
    } finally {
      directory.close()
    }
    io.print(
      'accounts and history are copied; start the node with DATABASE_URL and --seeds on the same data directory',
    )
    return 0
  } finally {
    await to.close()
  }
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
