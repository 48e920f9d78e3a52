/** What a page shows when what its host has said of it comes in another order. */
import t from 'tap'
import type { EntityKey, InstanceId } from '../../../lib/ids.js'
import { type PageMessage, pageKind } from '../../../lib/transactions/index.js'
import { asker, startOf } from '../../sim/transaction-model.js'

const key: EntityKey = 'page:page-0001'
const instanceId = 'instance-1' as InstanceId
const layout = (title: string) => ({ kind: 'BASIC', title }) as never

function opened() {
  const subject = {
    state: pageKind.load(new Map(), key),
    events: [] as unknown[],
    put: new Map<string, unknown>(),
  }
  const tell = (message: PageMessage) => {
    const decision = pageKind.decide(subject.state, message, { key, nowMs: 1_000, historyPending: false })
    subject.state = decision.state ?? subject.state
    subject.events = (decision.signals ?? []).map(({ payload }) => (payload as { event: string }).event)
    for (const [name, value] of decision.put ?? []) subject.put.set(name, value)
    return decision.reply
  }
  const { organizationId, environmentId } = startOf()
  const page = {
    pageKey: 'page-0001',
    organizationId,
    environmentId,
    userId: asker.userId,
    slug: 'p',
    instanceId,
  }
  tell({ type: 'open', page: page as never, asker })
  tell({ type: 'opened' })
  return { subject, tell }
}

t.test('a layout that comes late does not take the place of a newer one', async t => {
  const { subject, tell } = opened()
  t.same(tell({ type: 'layout', instanceId, layout: layout('newer'), number: 12 }), { accepted: true })
  for (const late of [
    { type: 'layout', instanceId, layout: layout('older'), number: 11 },
    { type: 'loading', instanceId, loading: { label: 'older' } as never, number: 10 },
    { type: 'redirect', instanceId, redirect: { url: 'https://example.com' } as never, number: 9 },
  ] as const) {
    t.same(tell(late), { accepted: true })
    t.same(subject.events, [], `${late.type} is not shown`)
  }
  t.match(subject.state, { layout: { title: 'newer' }, loading: null })
  t.same(subject.put.get('newest'), { instanceId, number: 12 }, 'a later leader knows it')
  tell({ type: 'layout', instanceId, layout: layout('newest'), number: 13 })
  t.match(subject.state, { layout: { title: 'newest' } })
})

t.test('hosts that do not count are heard as they come', async t => {
  const { subject, tell } = opened()
  for (const title of ['a', 'b']) {
    tell({ type: 'layout', instanceId, layout: layout(title) })
    t.match(subject.state, { layout: { title } })
  }
})
