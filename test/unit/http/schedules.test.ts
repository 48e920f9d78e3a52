/** Schedules over HTTP: who may do what, what is refused and how, and that rows and entities agree. */
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { AppError } from '../../../lib/errors.js'
import { silentLog } from '../../../lib/log.js'
import {
  type Clock,
  type EntityRuntime,
  type Json,
  openPartitions,
  VirtualClock,
} from '../../../lib/partitions/index.js'
import { type ScheduleRead, Schedules, scheduleKind } from '../../../lib/timers/schedules/index.js'
import { testAccounts } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { testServer } from './test-server.js'

const { accounts, clock: wallClock, database } = await testAccounts(t)
/** Node time: the clock of this node is an hour ahead of it. */
const clock = new VirtualClock(wallClock.nowMs() - 3_600_000)
const ownClock: Clock = {
  nowMs: () => clock.nowMs() + 3_600_000,
  setTimer: (ms, fn) => clock.setTimer(ms, fn),
  soon: fn => clock.soon(fn),
}
const partitions = await openPartitions({ storage: { backend: 'memdown' }, clock, log: silentLog })
partitions.register(scheduleKind())
t.teardown(() => partitions.stop({ deadlineMs: 0 }))
/** While it is true, no entity can be reached. */
let isAway = false
const runtime = Object.create(partitions, {
  send: {
    value: (...words: Parameters<EntityRuntime['send']>) =>
      isAway ? Promise.reject(new AppError('unavailable')) : partitions.send(...words),
  },
}) as EntityRuntime
const schedules = new Schedules({ runtime, clock: ownClock, log: silentLog, database })
partitions.setHistoryWriter({ write: batch => schedules.writeHistory(batch) })
await partitions.start()
const { ask } = await testServer(t, accounts, { schedules: { schedules } })

const admin = async <Result>(name: string, argument: unknown): Promise<Result> =>
  (await runAdminOperation(name, argument, { accounts })) as Result

interface Organization {
  id: string
  environments: { id: string; slug: string }[]
}

async function organization(slug: string, ownerEmail: string): Promise<Organization> {
  const made = await admin<Organization>('createOrganization', { slug, name: slug, ownerEmail })
  const environment = made.environments.find(each => each.slug === 'production')
  const action = { name: null, description: null, backgroundable: true, warnOnClose: false, unlisted: false }
  await accounts.recordDeclarations(
    {
      organizationId: made.id as never,
      environmentId: environment?.id as never,
      developerId: null,
    },
    [
      { slug: 'clean-up', ...action },
      { slug: 'report', ...action },
    ],
    [],
  )
  return made
}

const ours = await organization('ours', 'owner@example.com')
await organization('theirs', 'stranger@example.com')

async function member(email: string, permissions: string[] | null) {
  const existing = await admin<{ id: string } | null>('findUser', { email })
  if (existing) {
    const hash = await accounts.passwords.hash('a good password')
    await database.query('update people set password = $2 where id = $1', [existing.id, hash])
  } else {
    const membership = { organizationId: ours.id, permissions }
    await admin('createUser', { email, password: 'a good password', membership })
  }
  const answer = await ask('POST', '/api/v1/session', { body: { email, password: 'a good password' } })
  return { id: (answer.body.user as { id: string }).id, cookie: answer.cookie }
}

const owner = await member('owner@example.com', null)
const stranger = await member('stranger@example.com', null)
const developer = await member('developer@example.com', ['DEVELOPER'])
const runner = await member('runner@example.com', ['ACTION_RUNNER'])

const path = '/api/v1/schedules'
const nightly = {
  organization: 'ours',
  action: 'clean-up',
  cron: '30 2 * * *',
  timeZone: 'Europe/Berlin',
}

async function create(body: object, cookie = developer.cookie): Promise<string> {
  const answer = await ask('POST', path, { cookie, body })
  if (answer.status !== 201) throw new Error(answer.text)
  return String(answer.body.id)
}

const live = (id: string) => partitions.send<ScheduleRead | null>(`schedule:${id}`, { type: 'read' })

t.test('a schedule is made, read, listed, changed, paused and deleted', async t => {
  const created = await ask('POST', path, { cookie: developer.cookie, body: nightly })
  t.match(created, {
    status: 201,
    body: {
      organization: 'ours',
      environment: 'production',
      action: 'clean-up',
      cron: '30 2 * * *',
      runner: { email: 'developer@example.com' },
      missed: 'once',
      overlap: 'skip',
      paused: false,
      upcoming: ['2030-01-01T01:30:00.000Z', '2030-01-02T01:30:00.000Z'],
    },
  })
  const id = String(created.body.id)
  t.equal((await live(id))?.nextTickMs, Date.parse('2030-01-01T01:30:00Z'))
  t.match(await ask('GET', `${path}/${id}`, { cookie: developer.cookie }), {
    status: 200,
    body: { runs: [] },
  })
  const list = await ask('GET', `${path}?organization=ours&action=clean-up`, { cookie: owner.cookie })
  t.equal((list.body.schedules as unknown[]).length, 1)
  const none = await ask('GET', `${path}?organization=ours&action=report`, { cookie: owner.cookie })
  t.same(none.body.schedules, [])
  const changes = { every: { count: 2, unit: 'days', anchor: '2030-01-05T08:00:00Z' }, params: { dry: true } }
  const changed = await ask('PATCH', `${path}/${id}`, { cookie: developer.cookie, body: changes })
  t.match(changed, {
    status: 200,
    body: {
      every: { count: 2, unit: 'days' },
      params: { dry: true },
      upcoming: ['2030-01-05T08:00:00.000Z', '2030-01-07T08:00:00.000Z'],
    },
  })
  t.notOk('cron' in changed.body)
  t.match((await live(id))?.definition, { params: { dry: true }, times: { every: 2 }, revision: 2 })
  t.match(await ask('POST', `${path}/${id}/pause`, { body: {}, cookie: developer.cookie }), {
    body: { paused: true, upcoming: [] },
  })
  t.equal((await live(id))?.nextTickMs, null)
  t.match(await ask('POST', `${path}/${id}/resume`, { body: {}, cookie: developer.cookie }), {
    body: { paused: false },
  })
  t.equal((await live(id))?.nextTickMs, Date.parse('2030-01-05T08:00:00Z'))
  t.equal((await ask('DELETE', `${path}/${id}`, { cookie: developer.cookie })).status, 200)
  t.equal(await live(id), null)
  t.equal((await ask('GET', `${path}/${id}`, { cookie: developer.cookie })).status, 404)
  await eventually(async () => {
    const { rows } = await database.query("select name from audit_log where name like 'schedule.%'")
    if (rows.length < 5) throw new Error(`${rows.length} rows`)
  })
})

t.test('times are node time, whatever the clock of the node says', async t => {
  const often = { ...nightly, cron: '*/5 * * * *' }
  const nextMs = () => Math.floor(clock.nowMs() / 300_000 + 1) * 300_000
  const created = await ask('POST', path, { cookie: developer.cookie, body: often })
  const id = String(created.body.id)
  t.equal((await live(id))?.nextTickMs, nextMs())
  t.equal((created.body.upcoming as string[])[0], new Date(nextMs()).toISOString())
  for (const verb of ['pause', 'resume']) {
    clock.advance(7_200_000)
    await ask('POST', `${path}/${id}/${verb}`, { body: {}, cookie: developer.cookie })
  }
  t.equal((await live(id))?.nextTickMs, nextMs(), 'resumed')
  const changes = { every: { count: 10, unit: 'minutes' } }
  const changed = await ask('PATCH', `${path}/${id}`, { cookie: developer.cookie, body: changes })
  const anchor = new Date(Math.floor(clock.nowMs() / 60_000) * 60_000).toISOString()
  t.match(changed.body, { every: { anchor } }, 'the first tick is in the minute of the request')
  await ask('DELETE', `${path}/${id}`, { cookie: developer.cookie })
})

t.test('a schedule is wanted until it or its organization is deleted', async t => {
  const kept = await create(nightly)
  t.equal(await schedules.isWanted(kept), true)
  await ask('DELETE', `${path}/${kept}`, { cookie: developer.cookie })
  t.equal(await schedules.isWanted(kept), false)
  const { id } = await organization('gone', 'owner@example.com')
  const orphan = await create({ ...nightly, organization: 'gone' }, owner.cookie)
  t.equal(await schedules.isWanted(orphan), true)
  await database.query('delete from organizations where id = $1', [id])
  t.equal(await schedules.isWanted(orphan), false)
  t.not(await live(orphan), null, 'its entity has not heard of it')
})

t.test('what is wrong is refused with the name of its field', async t => {
  const refused: [object, number, string][] = [
    [{ ...nightly, cron: '99 2 * * *' }, 422, 'cron'],
    [{ ...nightly, cron: '0 0 30 2 *' }, 422, 'cron'],
    [{ ...nightly, cron: '59 59 23 31 2,4,6,9,11 *' }, 422, 'cron'],
    [{ ...nightly, cron: undefined }, 422, 'cron'],
    [{ ...nightly, timeZone: 'Mars/Olympus' }, 422, 'timeZone'],
    [{ ...nightly, action: 'unknown' }, 422, 'action'],
    [{ ...nightly, environment: 'development' }, 422, 'environment'],
    [{ ...nightly, organization: undefined }, 422, 'organization'],
    [{ ...nightly, runner: stranger.id }, 422, 'runner'],
    [{ ...nightly, every: { count: 1, unit: 'days' } }, 422, 'every'],
    [{ ...nightly, cron: undefined, every: { count: 0, unit: 'days' } }, 422, 'every'],
    [{ ...nightly, missed: 'never' }, 400, 'missed'],
    [{ ...nightly, params: { list: [1] } }, 400, 'params.list'],
    [{ ...nightly, surprise: 1 }, 400, 'body'],
  ]
  for (const [body, status, field] of refused) {
    const answer = await ask('POST', path, { cookie: owner.cookie, body })
    t.equal(answer.status, status, answer.text)
    t.same(Object.keys(answer.body.fields as object), [field], JSON.stringify(body))
  }
  const id = await create(nightly)
  t.equal(
    (await ask('GET', `${path}/${id}/runs?limit=1000`, { cookie: owner.cookie })).status,
    422,
    'a page that is too large',
  )
})

t.test('only who may change what runs there', async t => {
  const id = await create(nightly)
  t.equal((await ask('POST', path, { body: nightly })).status, 401)
  t.equal((await ask('POST', path, { body: nightly, cookie: runner.cookie })).status, 403)
  t.equal((await ask('POST', path, { body: nightly, cookie: stranger.cookie })).status, 404)
  const theirs = { ...nightly, organization: 'theirs' }
  t.equal((await ask('POST', path, { body: theirs, cookie: developer.cookie })).status, 404)
  for (const [method, what] of [
    ['GET', ''],
    ['GET', '/runs'],
    ['POST', '/pause'],
    ['POST', '/resume'],
    ['POST', '/run'],
    ['DELETE', ''],
  ] as const) {
    const status = async (cookie: string | undefined) =>
      (await ask(method, `${path}/${id}${what}`, { cookie, ...(method === 'POST' && { body: {} }) })).status
    t.equal(await status(undefined), 401, `${method} ${what} without a session`)
    t.equal(await status(runner.cookie), 403, `${method} ${what} without the permission`)
    t.equal(await status(stranger.cookie), 404, `${method} ${what} from elsewhere`)
  }
  t.not(await live(id), null, 'it is still there')
  await eventually(async () => {
    const { rows } = await database.query(
      "select 1 from audit_log where name = 'access.denied' and details->>'schedule' = $1",
      [id],
    )
    if (rows.length !== 6) throw new Error(`${rows.length} rows`)
  })
})

t.test('nobody lets a schedule run in the name of another who may not manage people', async t => {
  const asOwner = { ...nightly, runner: 'owner' }
  t.equal((await ask('POST', path, { body: asOwner, cookie: developer.cookie })).status, 403)
  const other = { ...nightly, runner: owner.id }
  t.equal((await ask('POST', path, { body: other, cookie: developer.cookie })).status, 403)
  const id = await create(asOwner, owner.cookie)
  t.equal((await live(id))?.definition.runner, 'owner')
  const change = { body: { params: { all: true } }, cookie: developer.cookie }
  t.equal((await ask('PATCH', `${path}/${id}`, change)).status, 403, 'nor changes what runs in it')
  t.equal((await ask('POST', `${path}/${id}/run`, { body: {}, cookie: developer.cookie })).status, 403)
  t.equal(
    (await ask('POST', `${path}/${id}/pause`, { body: {}, cookie: developer.cookie })).status,
    200,
    'but ends it',
  )
  t.equal((await ask('POST', `${path}/${id}/resume`, { body: {}, cookie: developer.cookie })).status, 403)
  const taken = { body: { runner: developer.id }, cookie: developer.cookie }
  t.match(await ask('PATCH', `${path}/${id}`, taken), {
    status: 200,
    body: { runner: { email: 'developer@example.com' } },
  })
})

t.test('a live key may do what its person may, in its environment', async t => {
  const { body } = await ask('POST', '/api/v1/organizations/ours/keys', {
    cookie: owner.cookie,
    body: { kind: 'PRODUCTION' },
  })
  const headers = { authorization: `Bearer ${body.key}` }
  const { organization: _, ...here } = nightly
  const created = await ask('POST', path, { headers, body: here })
  t.match(created, { status: 201, body: { environment: 'production' } })
  t.equal((await ask('GET', `${path}/${created.body.id}`, { headers })).status, 200)
  t.equal((await ask('POST', path, { headers, body: { ...here, organization: 'theirs' } })).status, 403)
  const theirs = await create({ ...nightly, organization: 'theirs' }, stranger.cookie)
  t.equal((await ask('GET', `${path}/${theirs}`, { headers })).status, 404)
  const wrong = { headers: { authorization: 'Bearer live_nonsense' } }
  t.equal((await ask('GET', path, wrong)).status, 403)
})

t.test('what cannot be told now is told later', async t => {
  isAway = true
  const id = await create(nightly).finally(() => {
    isAway = false
  })
  t.equal(await live(id), null)
  await schedules.reconcile()
  t.equal((await live(id))?.definition.revision, 1)
  isAway = true
  await ask('DELETE', `${path}/${id}`, { cookie: developer.cookie }).finally(() => {
    isAway = false
  })
  t.not(await live(id), null)
  await schedules.reconcile()
  t.equal(await live(id), null)
})

t.test('a run now is one for each request, and in the history', async t => {
  const id = await create(nightly)
  const run = (requestId: string) =>
    ask('POST', `${path}/${id}/run`, { cookie: developer.cookie, body: { requestId } })
  const first = await run('request-1')
  t.match(first, { status: 202, body: { cause: 'manual', status: 'STARTING' } })
  t.equal((await run('request-1')).body.id, first.body.id)
  t.equal((await run('request-2')).status, 409)
  const runId = String(first.body.id)
  await partitions.send(`schedule:${id}`, { type: 'run-started', runId })
  const message = { type: 'run-ended', runId, status: 'FAILURE', details: 'It broke.' }
  await partitions.send(`schedule:${id}`, message)
  await eventually(async () => {
    clock.advance(1_000)
    const { body } = await ask('GET', `${path}/${id}/runs`, { cookie: developer.cookie })
    const [row] = body.runs as Record<string, unknown>[]
    if (row?.status !== 'FAILURE') throw new Error(JSON.stringify(body))
    t.match(row, { id: runId, transactionId: runId, details: 'It broke.', cause: 'manual' })
  })
  const again = { ...message, status: 'SUCCESS', details: null }
  await partitions.send(`schedule:${id}`, again)
  const { body } = await ask('GET', `${path}/${id}`, { cookie: developer.cookie })
  t.match(body.runs, [{ status: 'FAILURE' }], 'the first result stays')
})

t.test('a run that the history refuses stops no other', async t => {
  const id = await create(nightly)
  const at = { order: 0, dueAtMs: clock.nowMs(), lastDueAtMs: clock.nowMs(), endedAtMs: null }
  const run = { ...at, cause: 'tick', status: 'RUNNING', details: 'half a \ud800', ticks: 1, isResult: false }
  const records = new Map<string, Json>([
    ['definition', { id }],
    ['run/0', { ...run, id: 'refused-run', status: 'NONSENSE' }],
    ['run/1', { ...run, id: 'written-run', order: 1 }],
  ])
  await schedules.writeHistory([{ key: `schedule:${id}`, version: { epoch: 1, seq: 1 }, records }])
  const { body } = await ask('GET', `${path}/${id}/runs`, { cookie: developer.cookie })
  t.match(body.runs, [{ id: 'written-run' }])
  t.equal((body.runs as unknown[]).length, 1)
  const late = new Map(records).set('run/1', {
    ...run,
    id: 'written-run',
    status: 'SUCCESS',
    endedAtMs: 5_000,
  })
  await schedules.writeHistory([{ key: `schedule:${id}`, version: { epoch: 1, seq: 2 }, records: late }])
  await schedules.writeHistory([{ key: `schedule:${id}`, version: { epoch: 1, seq: 1 }, records }])
  const after = await ask('GET', `${path}/${id}/runs`, { cookie: developer.cookie })
  t.match(after.body.runs, [{ status: 'SUCCESS' }], 'what has ended is not undone by what comes late')
})
