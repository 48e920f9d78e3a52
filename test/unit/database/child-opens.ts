/** A process that opens an embedded database, says the pid of its Postgres, and waits to be killed. */
import { execFileSync } from 'node:child_process'
import { openDatabase } from '../../../lib/database/index.js'
import { silentLog } from '../../../lib/log.js'

const [directory, work] = process.argv.slice(2)
if (directory === undefined) throw new Error('a directory is needed')
const database = directory.startsWith('postgres')
  ? await openDatabase({ url: directory, log: silentLog })
  : await openDatabase({ directory, log: silentLog })
if (work === 'migrate') {
  const { applied } = await database.migrate()
  process.stdout.write(JSON.stringify(applied))
  await database.close()
} else {
  const children = execFileSync('cat', [`/proc/${process.pid}/task/${process.pid}/children`], {
    encoding: 'utf8',
  })
  // The last one is `cat` itself.
  process.stdout.write(`${children.trim().split(' ')[0]}\n`)
  setInterval(() => {}, 60_000)
}
