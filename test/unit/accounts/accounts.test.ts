import t from 'tap'
import { storedRules } from '../../../lib/accounts/actions.js'
import { BusyError, stranger, trusted } from '../../../lib/accounts/hash-queue.js'
import type { HistoryRow } from '../../../lib/accounts/history.js'
import { createIdentityProofs } from '../../../lib/accounts/identity-proofs.js'
import { type AuditEvent, createAccounts, runAdminOperation } from '../../../lib/accounts/index.js'
import { type Attempt, createLoginLimits, type LoginLimits } from '../../../lib/accounts/login-limits.js'
import { createSignIn } from '../../../lib/accounts/sign-in.js'
import type { Database, Queryable } from '../../../lib/database/index.js'
import { AppError } from '../../../lib/errors.js'
import type { SessionId, UserId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import { networkOf } from '../../../lib/networks.js'
import { ManualClock, testAccounts, testDatabase } from '../../support/database.js'
import { rejectsWith } from './rejects-with.js'

const real = await testDatabase(t, { isReal: true })
let away = false
/** The same database, which a test takes away. */
const query: Queryable['query'] = (text, values) =>
  away ? Promise.reject(new AppError('unavailable')) : real.query(text, values)
const database: Database = {
  ...real,
  query,
  transaction: work => (away ? Promise.reject(new AppError('unavailable')) : real.transaction(work)),
}
const { accounts, clock } = await testAccounts(t, { database })
const origin = { address: '192.0.2.1', userAgent: 'test' }
const person = { firstName: 'Ann', lastName: 'Ode', password: 'a good password', organizationName: 'Ours' }
const ann = await accounts.signUp({ ...person, email: 'ann@example.com' }, origin)

t.test('an actor has what the roles imply and the teams', async t => {
  const actor = await accounts.actor(ann.user.id, 'ours', 'production')
  t.match(actor, {
    role: 'admin',
    organization: { slug: 'ours' },
    environment: { slug: 'production' },
    teams: [],
  })
  t.ok(actor.permissions.has('RUN_PROD_ACTIONS'))
  const organizationId = actor.organization.id
  const group = (await runAdminOperation(
    'createGroup',
    { organizationId, slug: 'support', name: 'Support' },
    { accounts },
  )) as { id: string }
  const member = { organizationId, userId: ann.user.id, groupId: group.id }
  await runAdminOperation('addGroupMember', member, { accounts })
  t.same((await accounts.actor(ann.user.id, 'ours', 'production')).teams, ['support'], 'at once')
  t.same(await accounts.unknownTeams(organizationId, ['support', 'nobody', 'nobody']), ['nobody'])
  await rejectsWith(t, accounts.actor(ann.user.id, 'ours', 'nowhere'), 'not-found')
  await rejectsWith(t, accounts.actor('stranger' as UserId, 'ours', 'production'), 'not-found')
})

t.test('while the database is away, those who are known go on', async t => {
  const key = await accounts.createKey(ann.user.id, 'ours', { kind: 'PRODUCTION' }, origin)
  const identity = await accounts.authenticateKey(key.key)
  t.ok(await accounts.authenticateSession(ann.token))
  away = true
  clock.advance(120_000)
  t.equal((await accounts.authenticateKey(key.key)).apiKeyId, identity.apiKeyId)
  t.equal((await accounts.authenticateSession(ann.token))?.user.id, ann.user.id)
  t.equal((await accounts.actor(ann.user.id, 'ours', 'production')).role, 'admin')
  const ids = { keys: [identity.apiKeyId], sessions: [ann.sessionId] }
  t.same(await accounts.revoked(ids), { keys: [], sessions: [] }, 'not knowing revokes nothing')
  await rejectsWith(t, accounts.authenticateKey('live_never_seen'), 'unavailable')
  await rejectsWith(t, accounts.signIn('ann@example.com', person.password, origin), 'unavailable')
  accounts.audit({ name: 'test.while-away' })
  clock.advance(600_000)
  await rejectsWith(t, accounts.authenticateKey(key.key), 'unavailable')
  away = false
  t.ok(await accounts.authenticateKey(key.key), 'and comes back by itself')
  await accounts.audits.flush()
  t.equal((await accounts.audits.list({ name: 'test.while-away' })).length, 1, 'no audit row is lost')
})

t.test('what another node revokes is found', async t => {
  const other = createAccounts({
    database,
    log: silentLog,
    clock,
    secret: 'x',
    appUrl: 'http://localhost:3000',
  })
  t.teardown(() => other.close())
  const session = await accounts.signIn('ann@example.com', person.password, origin)
  t.ok(await accounts.authenticateSession(session.token))
  await other.endSession(ann.user.id, session.sessionId, origin)
  const unknown = 'unknown-session' as SessionId
  const gone = await accounts.revoked({ keys: [], sessions: [session.sessionId, ann.sessionId, unknown] })
  t.same(gone.sessions, [session.sessionId, unknown])
  t.equal(await accounts.authenticateSession(session.token), null)
  t.equal(await accounts.authenticateSession('x'), null)
  t.equal(await accounts.authenticateSession(undefined), null)
})

t.test('guessing is slowed down, and locks nobody out', async t => {
  const guess = (email: string, address: string): Promise<unknown> =>
    accounts.signIn(email, 'a wrong guess', { address, userAgent: null })
  await accounts.signIn('ann@example.com', person.password, origin)
  for (let count = 0; count < limits.loginFailuresPerAccountMax; count += 1) {
    await rejectsWith(t, guess('ann@example.com', `198.51.100.${count}`), 'bad-credentials')
  }
  await rejectsWith(t, guess('ann@example.com', '198.51.100.99'), 'too-many-requests')
  t.ok(await accounts.signIn('ann@example.com', person.password, origin), 'from where she signed in before')
  clock.advance(601_000)
  await rejectsWith(t, guess('ann@example.com', '198.51.100.99'), 'bad-credentials')

  let refused = 0
  for (let count = 0; count < limits.loginFailuresPerAddressMax + 5; count += 1) {
    await guess(`nobody${count}@example.com`, '203.0.113.7').catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'too-many-requests') refused += 1
    })
  }
  t.equal(refused, 5, 'spraying from one address ends')
})

t.test('what was never looked at makes no address known, and a network of IPv6 is one address', async t => {
  const clock = new ManualClock()
  const limits = createLoginLimits({
    database,
    clock,
    secret: 'of this test',
    failuresPerAccountMax: 2,
    failuresPerAddressMax: 5,
    signUpsPerAddressMax: 2,
  })
  const attempt = (email: string, address: string): Promise<Attempt> => limits.attempt(email, address)
  const isRefused = (work: Promise<unknown>): Promise<void> => rejectsWith(t, work, 'too-many-requests')
  await (await attempt('a@example.com', '192.0.2.1')).takenBack()
  for (const address of ['192.0.2.2', '192.0.2.3']) await attempt('a@example.com', address)
  await isRefused(attempt('a@example.com', '192.0.2.1'))
  clock.advance(600_001)
  await (await attempt('a@example.com', '192.0.2.1')).succeeded()
  for (const address of ['192.0.2.2', '192.0.2.3']) await attempt('a@example.com', address)
  t.ok(await attempt('a@example.com', '192.0.2.1'), 'who has been in is not shut out by strangers')

  for (let count = 0; count < 5; count += 1) await attempt(`${count}@example.com`, `2001:db8:1:2::${count}`)
  await isRefused(attempt('b@example.com', '2001:db8:1:2:ffff:1:2:3'))
  t.ok(await attempt('b@example.com', '2001:db8:1:3::1'))
  for (const address of ['192.0.2.9', '192.0.2.9', '192.0.2.8']) await limits.signUp(address)
  await isRefused(limits.signUp('192.0.2.9'))
  t.ok(await attempt('c@example.com', '192.0.2.9'), 'which keeps nobody from signing in')
  clock.advance(600_001)
  await limits.signUp('192.0.2.9')

  t.equal(networkOf('::1'), '0:0:0:0::/64')
  t.equal(networkOf('2001:0db8::'), '2001:db8:0:0::/64')
  t.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64')
  t.equal(networkOf('1:2:3:4:5:6:7.8.9.10'), '1:2:3:4::/64')
  t.equal(networkOf('64:ff9b::192.0.2.1'), '64:ff9b:0:0::/64')
  t.equal(networkOf('192.0.2.1'), '192.0.2.1')
  t.equal(networkOf('unknown'), 'unknown')
})

t.test('nodes count together', async t => {
  const clock = new ManualClock()
  const node = () =>
    createLoginLimits({
      database,
      clock,
      secret: 'of this test',
      failuresPerAccountMax: 6,
      failuresPerAddressMax: 4,
      signUpsPerAddressMax: 3,
    })
  const nodes = [node(), node(), node()]
  const each = <Result>(work: (of: LoginLimits, index: number) => Promise<Result>): Promise<string[]> =>
    Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        work(nodes[index % 3] as LoginLimits, index).then(
          () => 'taken',
          (error: unknown) => (error instanceof AppError ? error.code : String(error)),
        ),
      ),
    )
  const taken = (all: string[]): number => all.filter(one => one === 'taken').length
  const refused = (all: string[]): number => all.filter(one => one === 'too-many-requests').length
  const few = (all: string[], max: number, what: string): void => {
    t.ok(taken(all) >= 1 && taken(all) <= max, `${what}: ${taken(all)} of ${max} at most`)
    t.equal(taken(all) + refused(all), 12)
  }
  few(await each((of, index) => of.attempt('shared@example.com', `198.18.0.${index}`)), 6, 'one account')
  few(await each((of, index) => of.attempt(`shared-${index}@example.com`, '198.18.1.1')), 4, 'one address')
  few(await each(of => of.signUp('198.18.2.1')), 3, 'accounts that are made')

  const [first, second] = nodes as [LoginLimits, LoginLimits]
  await (await first.attempt('home@example.com', '198.18.3.1')).succeeded()
  const again = await second.attempt('home@example.com', '198.18.3.1')
  t.equal(again.rank, trusted, 'who has signed in through one node is known to all')
  t.equal((await second.attempt('home@example.com', '198.18.3.2')).rank, stranger, 'from there alone')
  t.equal((await first.attempt('home@example.com', '198.18.3.2')).rank, stranger + 1, 'failures go behind')
  for (let count = 0; count < 10; count += 1)
    await (await first.attempt('home@example.com', '198.18.3.1')).succeeded()
  const often = await first.attempt('home@example.com', '198.18.3.1')
  t.ok(often.rank > trusted, 'who signs in again and again stands in line')
  const { rows } = await database.query<{ key: string }>('select key from login_counts')
  t.notOk(
    rows.some(({ key }) => /@|198/.test(key)),
    'the table names nobody',
  )

  clock.advance(91 * 86_400_000)
  t.equal((await first.attempt('home@example.com', '198.18.3.1')).rank, stranger, 'nor for ever')
  for (let count = 0; count < 110; count += 1)
    await (await first.attempt(`later-${count}@example.com`, '198.18.4.1')).takenBack()
  const left = await database.query('select from login_counts where expires_at < $1', [
    new Date(clock.nowMs()),
  ])
  t.equal(left.rowCount, 0, 'what has expired is removed')
})

t.test('whoever has made very many accounts stands in line with all of them', async t => {
  const clock = new ManualClock()
  const limits = createLoginLimits({
    database,
    clock,
    secret: 'of this test',
    failuresPerAccountMax: 10,
    failuresPerAddressMax: 10,
    signUpsPerAddressMax: 10,
  })
  const signIn = async (name: string, address: string): Promise<number> => {
    const attempt = await limits.attempt(`${name}@example.com`, address)
    await attempt.succeeded()
    return attempt.rank
  }
  await signIn('elsewhere', '198.18.6.1')
  for (let index = 0; index < 60; index += 1) await signIn(`many${index}`, '198.18.5.1')
  t.ok((await signIn('many0', '198.18.5.1')) > trusted)
  t.equal(await signIn('elsewhere', '198.18.6.1'), trusted, 'others do not')
  clock.advance(600_001)
  t.equal(await signIn('many1', '198.18.5.1'), trusted, 'nor do they afterwards')
})

t.test('a flood of sign-ins is refused before it costs memory', async t => {
  // Answers at once, so that all of them arrive at the hashing together.
  const empty: Queryable['query'] = async () => ({ rows: [], rowCount: 0, command: '', oid: 0, fields: [] })
  const flooded = createAccounts({
    database: { ...database, query: empty },
    log: silentLog,
    clock,
    secret: 'x',
    appUrl: 'http://localhost:3000',
    passwordParameters: { cost: 2 ** 12, blockSize: 8, parallelization: 1 },
    limits: { ...limits, passwordHashQueueMax: 8, loginFailuresPerAddressMax: 1_000 },
  })
  t.teardown(() => flooded.close())
  const codes = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      flooded.signIn(`flood${index}@example.com`, 'whatever it is', origin).then(
        () => 'ok',
        (error: unknown) => (error instanceof AppError ? error.code : 'other'),
      ),
    ),
  )
  t.equal(codes.filter(code => code === 'too-many-requests').length, 91)
  t.equal(codes.filter(code => code === 'bad-credentials').length, 9, 'one at once and eight waiting')
})

t.test('who proves themselves while too many are hashed has guessed nothing', async t => {
  const reasons: unknown[] = []
  const parts = {
    database,
    clock,
    log: silentLog,
    limits,
    audit: {
      ...accounts.audits,
      record: (event: AuditEvent) => event.name === 'session.refused' && reasons.push(event.details?.reason),
    },
    identities: accounts.identities,
    secondFactors: accounts.secondFactors,
    links: accounts.links,
    operators: null,
    attempts: createLoginLimits({
      database,
      clock,
      secret: 'of a busy node',
      failuresPerAccountMax: 1,
      failuresPerAddressMax: 1,
      signUpsPerAddressMax: 1,
    }),
  }
  const isBusy = { ...accounts.passwords, verify: () => Promise.reject(new BusyError()) }
  const busy = { ...parts, passwords: isBusy }
  const idle = { ...parts, passwords: accounts.passwords }
  const { password } = person
  const change = { current: password, wanted: 'another good password' }
  const prove = (by: typeof idle) => createIdentityProofs(by).confirmIdentity(ann, { password }, null, origin)
  const choose = (by: typeof idle) =>
    createSignIn({ ...by, signUp: false }).changePassword(ann, change, origin)
  await rejectsWith(t, prove(busy), 'too-many-requests')
  await prove(idle)
  await rejectsWith(t, choose(busy), 'too-many-requests')
  await choose(idle)
  t.same(reasons, ['busy', 'busy'])
  const withoutRoom = {
    ...parts,
    passwords: {
      ...accounts.passwords,
      requireRoom() {
        throw new BusyError()
      },
    },
  }
  await rejectsWith(t, prove(withoutRoom), 'too-many-requests')
  await rejectsWith(t, choose(withoutRoom), 'too-many-requests')
  t.same(reasons.splice(0), ['busy', 'busy', 'busy', 'busy'])
  await rejectsWith(t, choose(idle), 'bad-credentials')
  await rejectsWith(t, choose(idle), 'too-many-requests')
  await rejectsWith(t, prove(idle), 'too-many-requests')
  t.same(reasons, ['wrong password', 'too many failures', 'too many failures'])
})

t.test('history: the newest version stays, whatever order they come in', async t => {
  const actor = await accounts.actor(ann.user.id, 'ours', 'production')
  const version = (id: string, epoch: number, seq: number, more: Partial<HistoryRow> = {}): HistoryRow =>
    ({
      id,
      organizationId: actor.organization.id,
      environmentId: actor.environment.id,
      developerId: null,
      ownerId: ann.user.id,
      slug: 'greet',
      name: 'Greet',
      hostId: null,
      status: 'RUNNING',
      resultStatus: null,
      resultData: null,
      backgroundable: false,
      createdAtMs: clock.nowMs(),
      updatedAtMs: clock.nowMs(),
      completedAtMs: null,
      epoch,
      seq,
      logs: [],
      ...more,
    }) as HistoryRow
  const ended = { status: 'COMPLETED', resultStatus: 'SUCCESS', completedAtMs: clock.nowMs() } as const
  const line = (index: number, text: string): HistoryRow['logs'][number] => ({ index, text, atMs: 1 })
  await accounts.writeHistory([
    version('run-1', 2, 1, {
      ...ended,
      resultData: { text: 'zero \0 and half \ud800 "\\u0000"' },
      logs: [line(1, 'b')],
    }),
    version('run-1', 1, 9, { logs: [line(0, 'a')] }),
  ])
  await accounts.writeHistory([version('run-1', 1, 10, { status: 'AWAITING_INPUT', logs: [line(1, 'old')] })])
  const stored = await accounts.transaction(ann.user.id, 'run-1', origin)
  t.match(stored, { status: 'COMPLETED', epoch: 2, seq: 1, logs: [{ text: 'a' }, { text: 'b' }] })
  t.same(stored.resultData, { text: 'zero \ufffd and half \ufffd "\\u0000"' })
  await accounts.writeHistory([
    version('run-gone', 1, 1, { organizationId: 'deleted' as never }),
    version('run-bad', 1, 1, { status: 'NONSENSE' as never }),
    version('run-2', 1, 1, { ownerId: 'deleted' as never }),
  ])
  t.equal(await accounts.placeOfTransaction('run-gone'), null, 'what belongs to nothing is dropped')
  t.equal(await accounts.placeOfTransaction('run-bad'), null, 'what is refused does not stop the others')
  t.match(await accounts.placeOfTransaction('run-2'), {
    organizationId: actor.organization.id,
    ownerId: null,
  })
  away = true
  await rejectsWith(t, accounts.writeHistory([version('run-3', 1, 1)]), 'unavailable')
  away = false
})

t.test('notifications of runs are recorded with the run, once, whichever way they come', async t => {
  const actor = await accounts.actor(ann.user.id, 'ours', 'production')
  const console = await accounts.actor(ann.user.id, 'ours', 'development')
  const version = (id: string, seq: number, more: Partial<HistoryRow>): HistoryRow =>
    ({
      id,
      organizationId: actor.organization.id,
      environmentId: actor.environment.id,
      developerId: null,
      ownerId: ann.user.id,
      slug: 'greet',
      name: 'Greet',
      hostId: null,
      status: 'RUNNING',
      resultStatus: null,
      resultData: null,
      backgroundable: false,
      createdAtMs: clock.nowMs(),
      updatedAtMs: clock.nowMs(),
      completedAtMs: null,
      epoch: 1,
      seq,
      logs: [],
      ...more,
    }) as HistoryRow
  const email = { to: 'ann@example.com', method: 'EMAIL' } as const
  const first = {
    id: 'note-1',
    title: 'Zero \0',
    message: 'one',
    deliveries: [email, { to: '#ops', method: null }],
  }
  const second = { id: 'note-2', title: null, message: 'two', deliveries: [email] }
  const inConsole = { environmentId: console.environment.id, developerId: ann.user.id }
  await accounts.writeHistory([
    version('noted-1', 1, { notifications: [first] }),
    version('noted-1', 2, { notifications: [second] }),
    version('noted-2', 1, { ...inConsole, notifications: [{ ...first, id: 'note-3' }] }),
    version('noted-3', 1, {
      organizationId: 'deleted' as never,
      notifications: [{ ...first, id: 'note-4' }],
    }),
  ])
  await accounts.writeHistory([version('noted-1', 2, { notifications: [first, second] })])
  const notes = await database.query(
    'select id, transaction_id, title, message from notifications order by id',
  )
  t.same(notes.rows, [
    { id: 'note-1', transaction_id: 'noted-1', title: 'Zero \ufffd', message: 'one' },
    { id: 'note-2', transaction_id: 'noted-1', title: null, message: 'two' },
    { id: 'note-3', transaction_id: 'noted-2', title: 'Zero \ufffd', message: 'one' },
  ])
  const deliveries = await database.query(
    'select notification_id, recipient, method, person_id, status from notification_deliveries order by id',
  )
  t.same(deliveries.rows, [
    {
      notification_id: 'note-1',
      recipient: 'ann@example.com',
      method: 'EMAIL',
      person_id: ann.user.id,
      status: 'PENDING',
    },
    { notification_id: 'note-1', recipient: '#ops', method: null, person_id: null, status: 'PENDING' },
    {
      notification_id: 'note-2',
      recipient: 'ann@example.com',
      method: 'EMAIL',
      person_id: ann.user.id,
      status: 'PENDING',
    },
  ])
})

t.test('declared actions and what code says of access', async t => {
  const { organization, environment } = await accounts.actor(ann.user.id, 'ours', 'production')
  const place = { organizationId: organization.id, environmentId: environment.id, developerId: null }
  const action = {
    slug: 'admin/pay',
    name: 'Pay',
    description: null,
    backgroundable: false,
    warnOnClose: true,
    unlisted: false,
  }
  const page = { slug: 'admin', name: 'Admin', description: null, unlisted: false, hasHandler: true }
  await accounts.recordDeclarations(
    place,
    [{ ...action, access: { teams: ['support', 'nobody'] } }],
    [{ ...page, access: 'entire-organization' }],
  )
  const rules = await storedRules(database, place)
  const support = { availability: 'GROUPS', teams: { support: 'RUNNER' } }
  t.same(rules.actions.get('admin/pay'), { inCode: true, rule: support })
  t.same(rules.pages.get('admin'), { inCode: true, rule: { availability: 'ORGANIZATION' } })
  await accounts.recordDeclarations(place, [action, action], [page])
  const after = await storedRules(database, place)
  t.equal(after.actions.size + after.pages.size, 0, 'gone when the code no longer says it')
  await accounts.recordDeclarations({ ...place, developerId: ann.user.id }, [action], [])
  const { rows } = await database.query('select slug from actions')
  t.equal(rows.length, 2, 'one for all and one of the developer')
})
