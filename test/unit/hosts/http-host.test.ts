/** An HTTP host as an entity, what it does to runs and pages that wait for it, and how its requests are signed. */
import { createHmac } from 'node:crypto'
import t from 'tap'
import type { Actor } from '../../../lib/accounts/index.js'
import { httpHostOf, requestIdFor } from '../../../lib/hosts/http-host.js'
import { httpHostSecret, signatureOf } from '../../../lib/hosts/http-signature.js'
import {
  DirectoryView,
  digestOf,
  directoryKey,
  directoryKind,
  httpHostKind,
} from '../../../lib/hosts/index.js'
import type { HttpHostId, InstanceId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { type Decision, storedValue } from '../../../lib/partitions/entity.js'
import type { DeclaredAction } from '../../../lib/sdk/index.js'
import { pageKind, transactionKind } from '../../../lib/transactions/index.js'
import { asker, startOf } from '../../sim/transaction-model.js'
import { Subject } from '../../support/entity-subject.js'

const id = 'http-host-1' as HttpHostId
const requestId = requestIdFor(id, 'secret-1')
const registered = { type: 'register', id, organizationId: 'organization-1', url: 'https://example.com/x' }
const place = { organizationId: 'organization-1', environmentId: 'environment-1' }
const sdk = { sdkName: '@interval/sdk', sdkVersion: '2.0.0' }
const target = 'transaction:transaction-1'

const action = (slug: string): DeclaredAction => ({
  slug,
  groupSlug: null,
  name: null,
  description: null,
  backgroundable: false,
  unlisted: false,
  warnOnClose: true,
  access: null,
})

function declared(...slugs: string[]) {
  const definitions = { actions: slugs.map(action), pages: [] }
  return { type: 'declare', ...place, ...sdk, definitions, digest: digestOf(definitions) }
}

function host(): Subject {
  const subject = new Subject(httpHostKind, `http-host:${id}`)
  subject.tell(registered)
  return subject
}

const wake = { type: 'wake', requestId, target, ...place }
const claim = { type: 'claim', requestId, instanceId: 'instance-1', ...place, ...sdk }
const effectsTo = (decision: Decision<unknown, unknown>, to: string) =>
  (decision.effects ?? []).filter(effect => effect.to === to)

t.test(
  'a new one is checked at once; every node that starts says it again, and it is checked once',
  async t => {
    const subject = new Subject(httpHostKind, `http-host:${id}`)
    t.equal(subject.tell(registered).alarmAtMs, subject.nowMs)
    t.equal(subject.tell(registered).put?.size, 0, 'the check is due already')
    t.match(subject.tell({ type: 'alarm' }).signals, [{ to: 'http-host', payload: { check: id } }])
    subject.tell({ type: 'checked', isReachable: true })
    t.equal(subject.tell(registered).alarmAtMs, subject.nowMs + limits.httpHostCheckMs, 'just checked')
    subject.nowMs += limits.httpHostUnreachableCheckMs
    t.equal(subject.tell(registered).alarmAtMs, subject.nowMs, 'checked some time ago')
    t.equal(
      subject.tell({ ...registered, isBeingChecked: true }).alarmAtMs,
      subject.nowMs,
      'what is due is not put off',
    )
    const asked = new Subject(httpHostKind, `http-host:${id}`)
    const nextMs = asked.nowMs + limits.httpHostUnreachableCheckMs
    t.equal(
      asked.tell({ ...registered, isBeingChecked: true }).alarmAtMs,
      nextMs,
      'it is asked by who says so',
    )
    t.equal(asked.tell({ ...registered, isBeingChecked: true }).alarmAtMs, nextMs)
    t.match(
      subject.tell({ ...registered, url: 'https://example.com/y' }).state,
      { host: { url: 'https://example.com/y' } },
      'it has moved',
    )
  },
)

t.test('checked every five minutes, every half minute while it does not answer', async t => {
  const subject = host()
  t.match(subject.tell({ type: 'alarm' }), {
    alarmAtMs: subject.nowMs + limits.httpHostUnreachableCheckMs,
    signals: [{ payload: { check: id, url: registered.url } }],
  })
  t.equal(
    subject.tell({ type: 'checked', isReachable: true }).alarmAtMs,
    subject.nowMs + limits.httpHostCheckMs,
  )
  t.equal(
    subject.tell({ type: 'checked', isReachable: false }).alarmAtMs,
    subject.nowMs + limits.httpHostUnreachableCheckMs,
  )
  t.same(subject.tell({ type: 'alarm' }).signals, [], 'not before its time')
})

t.test('what it declares is listed where its key belongs; the same again says nothing', async t => {
  const subject = host()
  const first = subject.tell(declared('a'))
  t.match(effectsTo(first, 'entity'), [
    { target: 'environment:environment-1', payload: { type: 'announce', instanceId: id, isReachable: true } },
  ])
  t.same(subject.tell(declared('a')).effects, [])
  t.match(subject.tell({ type: 'checked', isReachable: false }).effects, [
    { payload: { type: 'reachable', isReachable: false } },
  ])
  t.match(subject.tell(declared('a')).effects, [{ payload: { type: 'announce' } }], 'it is back')
  t.match(subject.tell({ ...declared('a'), environmentId: 'environment-2' }).effects, [
    { target: 'environment:environment-1', payload: { type: 'remove' } },
    { target: 'environment:environment-2', payload: { type: 'announce' } },
  ])
  t.throws(() => subject.tell({ ...declared('a'), organizationId: 'another' }), { code: 'not-found' })
  t.match(subject.tell({ type: 'remove' }), {
    state: null,
    effects: [{ target: 'environment:environment-2', payload: { type: 'remove' } }],
  })
  t.throws(() => subject.tell(declared('a')), { code: 'not-found' })
})

t.test('a request is claimed once, in its time, in its place', async t => {
  const subject = host()
  t.match(effectsTo(subject.tell(wake), 'http-host'), [
    { id: requestId, target: requestId, payload: { run: requestId, url: registered.url } },
  ])
  t.same(subject.tell(wake).effects, [], 'said again')
  for (const other of [{ environmentId: 'another' }, { organizationId: 'another' }, { requestId: 'x.y' }])
    t.match(subject.tell({ ...claim, ...other }).reply, { accepted: false }, JSON.stringify(other))
  const claimed = subject.tell(claim)
  t.match(claimed, {
    reply: { accepted: true },
    dropEffects: [requestId],
    signals: [{ payload: { settled: requestId, claimed: { instanceId: 'instance-1', target } } }],
    effects: [{ target, payload: { type: 'host-bound', requestId, instanceId: 'instance-1', ...sdk } }],
  })
  const again = subject.tell(claim)
  t.match(again, { reply: { accepted: true }, effects: [] }, 'the same instance did not hear it')
  t.match(subject.tell({ ...claim, instanceId: 'instance-2' }).reply, { accepted: false })
  t.same(subject.tell({ type: 'failed', requestId, reason: 'x', isUnreachable: false }).effects, [])
  subject.nowMs += limits.httpHostRequestMsMax
  t.match(subject.tell({ type: 'alarm' }).signals, [{ payload: { check: id } }])
  t.same([...subject.records.keys()], ['host'], 'a minute later it is forgotten')
  t.match(subject.tell(claim).reply, { accepted: false })
})

t.test('whoever waits hears it when nobody comes', async t => {
  const unreachable = { target, payload: { type: 'host-unreachable', requestId } }
  const late = host()
  late.tell(wake)
  late.nowMs += limits.httpHostRequestMsMax
  t.match(late.tell(claim).reply, { accepted: false }, 'too late')
  t.match(late.tell({ type: 'alarm' }), { effects: [unreachable], dropEffects: [requestId] })
  const failing = host()
  failing.tell(declared('a'))
  failing.tell(wake)
  const failed = { type: 'failed', requestId, reason: 'why', isUnreachable: true }
  t.match(failing.tell(failed).effects, [{ payload: { type: 'reachable', isReachable: false } }, unreachable])
  t.same(failing.tell(failed).effects, [], 'once')
  const removed = host()
  removed.tell(wake)
  t.match(removed.tell({ type: 'remove' }), { state: null, effects: [unreachable] })
  t.match(removed.tell(wake).effects, [unreachable], 'not registered')
  const forgotten = host()
  forgotten.tell(wake)
  t.match(forgotten.tell({ type: 'forget', requestId }), { dropEffects: [requestId], effects: [] })
  t.match(forgotten.tell(claim).reply, { accepted: false })
  const busy = host()
  for (let count = 0; count < limits.httpHostRequestsMax; count++)
    busy.tell({ ...wake, requestId: requestIdFor(id, `${count}`) })
  t.match(effectsTo(busy.tell(wake), 'entity'), [unreachable], 'too many')
})

t.test('it is the same after its records are read again', async t => {
  const subject = host()
  subject.tell(declared('a'))
  subject.tell(wake)
  subject.tell(claim)
  const records = new Map([...subject.records].map(([name, value]) => [name, storedValue(value as string)]))
  t.same(httpHostKind.load(records, subject.key), subject.state)
})

t.test('a directory offers those that answer, and prefers hosts that are connected', async t => {
  const directory = new Subject(directoryKind, directoryKey('environment-1', null))
  const definitions = { actions: [action('a')], pages: [] }
  const announce = (instanceId: string, more: object) =>
    directory.tell({
      ...{ type: 'announce', instanceId, connectionId: instanceId, digest: digestOf(definitions) },
      ...{ definitions, ...sdk, ...more },
    })
  const offered = (...connected: string[]) => {
    const actor = {
      teams: [],
      permissions: new Set(['RUN_PROD_ACTIONS']),
      environment: { slug: 'production' },
    } as unknown as Actor
    const state = directoryKind.load(new Map(), directory.key)
    const isConnected = (instanceId: InstanceId) => connected.includes(instanceId)
    const view = new DirectoryView((directory.state as typeof state) ?? state, isConnected)
    return view.action('a', actor)?.hosts.map(host => host.instanceId)
  }
  announce('http-1', { isReachable: true })
  announce('socket-1', {})
  announce('http-2', { isReachable: true })
  t.same(offered(), ['http-1', 'http-2'])
  t.same(offered('socket-1'), ['socket-1'])
  t.same(offered('http-1'), ['http-1', 'http-2'], 'it is no instance')
  directory.tell({ type: 'reachable', instanceId: 'http-2', isReachable: false })
  t.same(offered(), ['http-1'])
  t.same(
    directory.tell({ type: 'reachable', instanceId: 'socket-1', isReachable: false }).put,
    undefined,
    'others are not reached, but connected',
  )
  announce('http-2', { isReachable: true })
  t.same(offered(), ['http-1', 'http-2'])
})

const http = [
  { httpHostId: id, requestId },
  { httpHostId: 'http-host-2' as HttpHostId, requestId: 'http-host-2.secret-2' },
]
const bound = { type: 'host-bound', requestId, instanceId: 'instance-1', ...sdk }
const failed = { type: 'host-unreachable', requestId, reason: 'The HTTP host cannot be reached.' }

function run(): { subject: Subject; first: Decision<unknown, unknown> } {
  const subject = new Subject(transactionKind, target)
  const start = { ...startOf(), instanceId: id as string as InstanceId, http }
  const first = subject.tell({ type: 'start', start, asker })
  return { subject, first }
}

t.test('a run waits for whoever comes, and is bound to them', async t => {
  const { subject, first } = run()
  t.match(first, {
    effects: [{ to: 'entity', target: `http-host:${id}`, payload: { type: 'wake', requestId, target } }],
    reply: { instanceId: null },
  })
  t.match(
    subject.tell({ type: 'log', instanceId: id, index: 0, text: 'x', atMs: 1 }).reply,
    { accepted: false, denied: true },
    'nobody speaks for it',
  )
  subject.tell({ type: 'host-gone', instanceId: id })
  t.match(subject.state, { now: { hostGone: false } })
  const home = [{ to: 'host', payload: { method: 'CLOSE_PAGE' } }]
  t.match(subject.tell({ ...bound, requestId: 'another' }).effects, home, 'not asked for')
  t.match(subject.tell(bound), {
    effects: [{ to: 'host', target: 'instance-1', payload: { method: 'START_TRANSACTION' } }],
    state: { start: { instanceId: 'instance-1', woken: true, appends: true } },
  })
  t.same(subject.tell(bound).effects, [], 'said again')
  t.match(subject.tell({ ...bound, instanceId: 'instance-2' }).effects, home, 'for good')
  t.same(subject.tell(failed).effects, [])
  const heard = subject.tell({ type: 'log', instanceId: 'instance-1', index: 0, text: 'x', atMs: 1 })
  t.match(heard.reply, { accepted: true })
  t.match(heard.signals, [{ to: 'client', payload: { probe: true, gone: true } }, {}], 'windows look again')
})

t.test('a run tries the next one, and fails when there is none', async t => {
  const { subject } = run()
  t.match(subject.tell(failed).effects, [{ target: 'http-host:http-host-2', payload: { type: 'wake' } }])
  t.same(subject.tell(failed).effects, [], 'heard before')
  t.match(subject.tell(bound).effects, [{ payload: { method: 'CLOSE_PAGE' } }], 'too late')
  subject.tell({ ...failed, requestId: 'http-host-2.secret-2' })
  t.match(subject.state, {
    now: { status: 'completed' },
    result: { status: 'FAILURE', data: { error: 'HostUnreachable', message: failed.reason } },
  })
  const forgotten = run().subject
  forgotten.nowMs += limits.clientGraceMs
  forgotten.tell({ type: 'client-gone', clientId: asker.clientId })
  forgotten.tell({ type: 'alarm' })
  t.match(forgotten.state, { result: { data: { error: 'HostUnreachable' } } }, 'nothing was ever heard')
})

t.test('a run that is cancelled sends home whoever comes', async t => {
  const { subject } = run()
  t.match(subject.tell({ type: 'cancel', asker }).effects, [
    { target: `http-host:${id}`, payload: { type: 'forget', requestId } },
  ])
  t.match(subject.tell(bound).effects, [
    { to: 'host', target: 'instance-1', payload: { method: 'CLOSE_PAGE' } },
  ])
  const silent = run().subject
  silent.tell(bound)
  t.match(
    silent.tell({ type: 'cancel', asker }).effects,
    [{ to: 'host', target: 'instance-1', payload: { method: 'CLOSE_PAGE' } }],
    'it may not have been told to start',
  )
})

const open = {
  type: 'open',
  asker,
  page: {
    pageKey: 'page-key-1',
    ...{ organizationId: asker.organizationId, environmentId: 'environment-1', userId: asker.userId },
    slug: 'a',
    instanceId: id,
    http: { requests: http, call: { pageKey: 'page-key-1' } },
  },
}

t.test('a page waits, is bound, or says that nobody came', async t => {
  const page = () => {
    const subject = new Subject(pageKind, 'page:page-key-1')
    return { subject, first: subject.tell(open) }
  }
  const { subject, first } = page()
  t.match(first, {
    effects: [{ target: `http-host:${id}`, payload: { type: 'wake', target: 'page:page-key-1' } }],
    reply: { isNew: false, instanceId: null },
  })
  t.same(subject.tell(open).effects ?? [], [], 'opened again')
  t.match(subject.tell(bound).effects, [
    { to: 'host', target: 'instance-1', payload: { method: 'OPEN_PAGE', data: { pageKey: 'page-key-1' } } },
  ])
  t.match(subject.tell({ type: 'open-failed', instanceId: 'instance-1', reason: 'No page handler found.' }), {
    signals: [{ payload: { event: 'page.render', data: { layout: { errors: [{}] } } } }],
  })
  t.match(subject.tell({ type: 'leave', asker }).effects, [{ payload: { method: 'CLOSE_PAGE' } }])
  t.match(subject.tell(bound).effects, [{ to: 'host', payload: { method: 'CLOSE_PAGE' } }], 'too late')

  const lost = page().subject
  t.match(lost.tell(failed).effects, [{ target: 'http-host:http-host-2', payload: { type: 'wake' } }])
  const over = lost.tell({ ...failed, requestId: 'http-host-2.secret-2' })
  t.match(over.signals, [{ payload: { data: { layout: { errors: [{ message: failed.reason }] } } } }])

  t.match(page().subject.tell({ type: 'leave', asker }).effects, [{ payload: { type: 'forget' } }])
})

t.test('signatures and request ids', async t => {
  const secret = httpHostSecret('installation', id)
  t.not(secret, httpHostSecret('installation', 'http-host-2' as HttpHostId))
  t.not(secret, httpHostSecret('another', id))
  const digest = createHmac('sha256', secret).update('1700000000.{"a":1}').digest('hex')
  t.equal(signatureOf(secret, '{"a":1}', 1_700_000_000_900), `t=1700000000,v1=${digest}`)
  t.equal(httpHostOf(requestId), id)
  for (const text of ['', 'x', '.x']) t.equal(httpHostOf(text), null, text)
})
