/** The reference for a restart: LevelDB opened, and all its keys read. Word: folder. */
import { createRequire } from 'node:module'

interface Iterator {
  next(callback: (error: Error | null, key?: Buffer) => void): void
}
interface LevelDb {
  open(options: object, callback: (error: Error | null) => void): void
  iterator(options: object): Iterator
}
const leveldown = createRequire(import.meta.url)('leveldown') as (path: string) => LevelDb

const startedAtMs = performance.now()
const db = leveldown(process.argv[2] ?? '')
await new Promise<void>((resolve, reject) => db.open({}, error => (error ? reject(error) : resolve())))
const iterator = db.iterator({ highWaterMark: 1_048_576 })
let keys = 0
await new Promise<void>((resolve, reject) => {
  const next = (): void =>
    iterator.next((error, key) => {
      if (error) reject(error)
      else if (key === undefined) resolve()
      else {
        keys += 1
        next()
      }
    })
  next()
})
process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - startedAtMs) / 1_000, keys })}\n`)
process.exit()
