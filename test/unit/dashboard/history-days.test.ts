/** The days of a history's filter as moments, where clocks are moved: whole days of the reader's zone, each hour in one. */
import t from 'tap'
import { exportHref, type HistoryFilter } from '../../../lib/dashboard/api-history.js'

const none: HistoryFilter = { search: '', action: '', person: '', status: '', from: '', until: '' }
const place = { organization: 'ours', environment: 'production' }

function moments(zone: string, day: string): [string | null, string | null] {
  process.env.TZ = zone
  const href = exportHref(place, { ...none, from: day, until: day }, 'csv')
  const query = new URL(href, 'http://localhost').searchParams
  return [query.get('from'), query.get('until')]
}

t.test('a day of 23 hours, and one of 25', async t => {
  t.same(moments('Europe/Berlin', '2026-03-29'), ['2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'])
  t.same(moments('Europe/Berlin', '2026-10-25'), ['2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z'])
})

t.test('a day that begins at one', async t => {
  t.same(moments('America/Santiago', '2026-09-06'), ['2026-09-06T04:00:00.000Z', '2026-09-07T03:00:00.000Z'])
})

t.test('a day that is none is no filter', async t => {
  t.same(moments('Etc/UTC', '2026-02-31x'), [null, null])
})
