/** 100,000 transactions that wait for an answer: what each costs in memory, and how long a start takes with them. */
import { join } from 'node:path'
import { TestServer } from '../support/server.js'
import { print, startPart } from './figures.js'

const count = 100_000

export async function pendingTransactions(names: ReadonlySet<string>): Promise<void> {
  // The first start makes the database, so that the measured one is an ordinary restart.
  const server = await TestServer.start()
  await server.kill('SIGTERM')
  const entities = join(server.folder, 'entities')
  const filled = await startPart('pending-transactions.js', [entities, String(count)], ['--expose-gc'])
  const { each, eachEntry } = JSON.parse(filled.firstLine) as { each: number; eachEntry: number }
  if (names.has('idle-transaction')) {
    print({
      name: 'idle-transaction',
      value: each,
      unit: 'KB RSS each',
      reference: eachEntry,
      target: 'value <= 1.5',
    })
  }
  if (names.has('restart-100k')) {
    const scanned = await startPart('scan.js', [entities])
    const { seconds } = JSON.parse(scanned.firstLine) as { seconds: number }
    const startedAtMs = performance.now()
    await server.run()
    const value = (performance.now() - startedAtMs) / 1_000
    print({ name: 'restart-100k', value, unit: 's until ready', reference: seconds, target: 'value <= 3' })
  }
  await server.stop()
}
