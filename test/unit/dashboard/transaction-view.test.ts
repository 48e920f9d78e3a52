/** What a window knows of a transaction: snapshots replace, events add, answered steps stay. */
import t from 'tap'
import type { Step, TransactionSnapshot } from '../../../lib/clients/wire.js'
import {
  isAnswered,
  viewAfter,
  viewAfterAnswer,
  viewOfSnapshot,
  visibleSteps,
} from '../../../lib/dashboard/transaction.js'

const step = (order: number, inputGroupKey: string, id: string): Step => ({
  order,
  answered: false,
  call: { id, inputGroupKey, kind: 'RENDER', toRender: [] },
})

const snapshot = (steps: Step[]): TransactionSnapshot => ({
  transactionId: 't',
  place: { organization: 'acme', environment: 'production' },
  slug: 's',
  name: 'S',
  status: 'running',
  backgroundable: false,
  warnOnClose: false,
  hostConnected: true,
  appends: true,
  steps,
  loading: null,
  logs: [],
  notifications: [],
  redirect: null,
  result: null,
  startedAtMs: 0,
})

t.test('the newest render of a group wins and opens it again', async t => {
  let view = viewOfSnapshot(null, snapshot([step(0, 'a', 'r1')]))
  view = viewAfterAnswer(view, 'a', 'r1')
  t.equal(view.steps[0] && isAnswered(view, view.steps[0]), true)
  view = viewAfter(view, {
    event: 'transaction.render',
    data: { transactionId: 't', step: step(0, 'a', 'r2') },
  })
  t.equal(view.steps.length, 1)
  t.equal(view.steps[0] && isAnswered(view, view.steps[0]), false, 'the host asks again')
})

t.test('a step that a later snapshot lacks was answered and stays in its place', async t => {
  const before = viewOfSnapshot(null, snapshot([step(0, 'a', 'r1')]))
  const view = viewOfSnapshot(before, snapshot([step(1, 'b', 'r2')]))
  t.same(
    view.steps.map(known => [known.call.inputGroupKey, isAnswered(view, known)]),
    [
      ['a', true],
      ['b', false],
    ],
  )
})

t.test('a window that comes later does not show what was answered before', async t => {
  const answered = { ...step(0, 'a', 'r1'), answered: true }
  const later = viewOfSnapshot(null, snapshot([answered, step(1, 'b', 'r2')]))
  t.same(
    later.steps.map(known => known.call.inputGroupKey),
    ['b'],
  )
  const there = viewOfSnapshot(viewOfSnapshot(null, snapshot([step(0, 'a', 'r1')])), snapshot([answered]))
  t.same(
    there.steps.map(known => known.call.inputGroupKey),
    ['a'],
    'the window that answered it keeps it',
  )
})

t.test('older SDKs show one step at a time', async t => {
  const view = viewOfSnapshot(null, { ...snapshot([step(0, 'a', 'r1'), step(1, 'b', 'r2')]), appends: false })
  t.same(
    visibleSteps(view).map(known => known.call.inputGroupKey),
    ['b'],
  )
})

t.test('log lines are kept once and in order', async t => {
  let view = viewOfSnapshot(null, snapshot([]))
  const line = (index: number) => ({ index, text: String(index), atMs: index })
  view = viewAfter(view, {
    event: 'transaction.logs',
    data: { transactionId: 't', lines: [line(1), line(0)] },
  })
  view = viewAfter(view, {
    event: 'transaction.logs',
    data: { transactionId: 't', lines: [line(1), line(2)] },
  })
  t.same(
    view.logs.map(known => known.index),
    [0, 1, 2],
  )
})

t.test('completion ends the loading state, not the steps', async t => {
  let view = viewOfSnapshot(null, { ...snapshot([step(0, 'a', 'r1')]), loading: { label: 'x' } })
  view = viewAfter(view, {
    event: 'transaction.completed',
    data: { transactionId: 't', result: { status: 'SUCCESS', data: null } },
  })
  t.equal(view.loading, null)
  t.equal(view.steps.length, 1)
})
