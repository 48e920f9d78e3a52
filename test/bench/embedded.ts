/** The reference for a start: the embedded database alone, opened and asked once. Word: folder. */
import { PGlite } from '@electric-sql/pglite'

const startedAtMs = performance.now()
const database = await PGlite.create(process.argv[2] ?? '')
await database.query('select 1')
process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - startedAtMs) / 1_000 })}\n`)
await database.close()
