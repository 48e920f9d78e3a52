/** A flood of refusals leaves a bounded number of rows, and none is dropped without being counted. */
import t from 'tap'
import { createAudit } from '../../../lib/accounts/audit.js'
import type { AuditEvent } from '../../../lib/accounts/index.js'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import { ManualClock } from '../../support/database.js'

interface Written {
  readonly name: string
  readonly address: string | null
  readonly details: Readonly<Record<string, unknown>>
}

function recorder() {
  const rows: Written[] = []
  const clock = new ManualClock()
  const database = {
    async query(_text: string, values: readonly unknown[] = []) {
      rows.push(...(JSON.parse(String(values[0])) as Written[]))
      return { rows: [], rowCount: 0 } as never
    },
  }
  const audit = createAudit({ database, log: silentLog, clock })
  return { audit, clock, rows }
}

const refused = (address: string): AuditEvent => ({
  name: 'access.denied',
  address,
  details: { what: 'websocket' },
})

t.test('one address fills its share of a minute, then is counted', async t => {
  const { audit, clock, rows } = recorder()
  const max = limits.refusalRowsPerMinuteMax
  for (let index = 0; index < max + 50; index += 1) audit.record(refused('192.0.2.1'))
  audit.record(refused('192.0.2.2'))
  for (let index = 0; index < max + 50; index += 1)
    audit.record({ name: 'key.created', address: '192.0.2.1' })
  await audit.flush()
  t.equal(rows.filter(row => row.name === 'access.denied' && row.address === '192.0.2.1').length, max)
  t.equal(rows.filter(row => row.address === '192.0.2.2').length, 1, 'others have their own share')
  t.equal(rows.filter(row => row.name === 'key.created').length, max + 50, 'what was done is always written')

  clock.advance(60_000)
  audit.record(refused('192.0.2.1'))
  await audit.flush()
  t.match(rows.slice(-2), [
    { name: 'refusals.repeated', address: '192.0.2.1', details: { what: 'access.denied', count: 50 } },
    { name: 'access.denied', address: '192.0.2.1' },
  ])
})

t.test(
  'what was counted last is told at the stop; more callers than can be told apart share a count',
  async t => {
    const { audit, rows } = recorder()
    for (let index = 0; index < 10_000; index += 1) audit.record(refused(`192.0.2.${index}`))
    await audit.flush()
    for (let index = 0; index < limits.refusalRowsPerMinuteMax + 7; index += 1)
      audit.record(refused(`198.51.100.${index}`))
    await audit.close()
    t.equal(rows.length, 10_000 + limits.refusalRowsPerMinuteMax + 1)
    t.match(rows.at(-1), { name: 'refusals.repeated', address: null, details: { count: 7 } })
  },
)
