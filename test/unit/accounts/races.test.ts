/**
 * Two at once, on a real Postgres: what opens once opens once, what ends stays ended, and a count is a count. Where the
 * machine has no Postgres the embedded one stands in, which does one thing after the other anyway.
 */
import t from 'tap'
import type { ClientIdentity } from '../../../lib/accounts/contract.js'
import {
  addDirectoryUser,
  changeDirectoryUser,
  forgetOld,
  runAdminOperation,
} from '../../../lib/accounts/index.js'
import { createLoginLimits } from '../../../lib/accounts/login-limits.js'
import { createPasswords } from '../../../lib/accounts/passwords.js'
import { AppError } from '../../../lib/errors.js'
import type { OrganizationId, UserId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { testAccounts, testDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { linkIn } from '../../support/mail-server.js'
import { codeAt } from '../../support/one-time-codes.js'

t.setTimeout(120_000)
const database = await testDatabase(t, { isReal: true })
const { accounts, clock } = await testAccounts(t, { database, sendsMail: true })
const origin = { address: '192.0.2.1', userAgent: null }
const password = 'a good password'
/** Takes much longer than those of the accounts. */
const slow = createPasswords({
  hashesMax: 4,
  queueMax: 100,
  parameters: { cost: 2 ** 16, blockSize: 8, parallelization: 1 },
})

const operate = <Result>(name: string, argument: unknown) =>
  runAdminOperation(name, argument, { accounts }) as Promise<Result>

interface Made {
  readonly id: UserId
  readonly email: string
  readonly organization: { readonly id: OrganizationId; readonly slug: string }
}

let count = 0
async function someone(): Promise<Made> {
  count += 1
  const email = `person${count}@example.com`
  const made = await operate<{ id: UserId; ownedOrganizations: Made['organization'][] }>('createUser', {
    email,
    password,
    createOrganization: true,
  })
  const [organization] = made.ownedOrganizations
  if (!organization) throw new Error('no organization')
  return { id: made.id, email, organization }
}

const mailed = async (email: string, name: string): Promise<string> => {
  await accounts.passwordResetsDone()
  const { rows } = await database.query<{ text: string }>(
    `select text from mails where recipient = $1 and text like '%' || $2 || '=%' order by created_at desc limit 1`,
    [email, name],
  )
  return new URL(linkIn({ text: rows[0]?.text ?? '' })).searchParams.get(name) ?? ''
}

/** How many of these came through. */
async function through(works: Promise<unknown>[]): Promise<number> {
  const ends = await Promise.allSettled(works)
  return ends.filter(({ status }) => status === 'fulfilled').length
}

const times = <Result>(number: number, work: (index: number) => Promise<Result>): Promise<Result>[] =>
  Array.from({ length: number }, (_, index) => work(index))

t.test('a code, a recovery code and a link for a new password open once', async t => {
  const { email } = await someone()
  const { secret, recoveryCodes } = await operate<{ secret: string; recoveryCodes: string[] }>('enrollMfa', {
    email,
  })
  for (const code of [codeAt(secret, clock.nowMs()), recoveryCodes[0] ?? '']) {
    const due: { token: string }[] = []
    for (let each = 0; each < 6; each += 1) due.push(await accounts.signIn(email, password, origin))
    const entered = times(6, index => accounts.enterSecondFactor(due[index]?.token, code, origin))
    t.equal(await through(entered), 1, 'in six sessions that wait for it')
    clock.advance(600_001)
  }
  const due = await accounts.signIn(email, password, origin)
  const codes = recoveryCodes.slice(1, 5)
  t.equal(
    await through(codes.map(code => accounts.enterSecondFactor(due.token, code, origin))),
    1,
    'and a session that waits becomes one other, whatever is entered at once',
  )

  await accounts.requestPasswordReset(email, origin)
  const seal = await mailed(email, 'seal')
  const wanted = times(6, index => accounts.resetPassword(seal, `another password ${index}`, origin))
  t.equal(await through(wanted), 1)
})

t.test('a link that proves an address, and an invitation', async t => {
  const boss = await someone()
  const by = { userId: boss.id, organization: boss.organization.slug, origin }
  await accounts.invite(by, { email: 'guest@example.com', role: 'DEVELOPER', teamIds: [] })
  const token = await mailed('guest@example.com', 'token')
  const account = { firstName: 'A', lastName: 'B', password }
  t.equal(await through(times(6, () => accounts.signUpInvited(token, account, origin))), 1)
  const { rows } = await database.query('select from memberships where organization_id = $1', [
    boss.organization.id,
  ])
  t.equal(rows.length, 2)

  const signedUp = await accounts.signUp(
    { ...account, email: 'new@example.com', organizationName: 'New' },
    origin,
  )
  const first = await mailed('new@example.com', 'seal')
  t.equal(
    await through(times(4, () => accounts.confirmEmail(signedUp, first, origin))),
    4,
    'again is the same',
  )
  await accounts.changeEmail(signedUp, 'newer@example.com', { password }, origin)
  const second = await mailed('newer@example.com', 'seal')
  await through(times(4, () => accounts.confirmEmail(signedUp, second, origin)))
  await accounts.audits.flush()
  const changed = await database.query(`select from audit_log where name = 'email.changed'`)
  t.equal(changed.rows.length, 1, 'an address is changed once')
})

t.test('nobody comes in with a password that is being replaced', async t => {
  const { email, id } = await someone()
  await database.query('update people set password = $2 where id = $1', [id, await slow.hash(password)])
  await accounts.requestPasswordReset(email, origin)
  const seal = await mailed(email, 'seal')
  const entering = accounts.signIn(email, password, origin).then(
    session => session,
    () => null,
  )
  await accounts.resetPassword(seal, 'the new password', origin)
  const entered = await entering
  t.equal(entered && (await accounts.authenticateSession(entered.token)), null)
  const left = await database.query('select from sessions where person_id = $1', [id])
  t.equal(left.rows.length, 0)
  t.ok(await accounts.signIn(email, 'the new password', origin))
})

t.test('nor without the code of a second factor that is being switched on', async t => {
  const { email, id } = await someone()
  const own = await accounts.signIn(email, password, origin)
  const { secret } = await accounts.beginSecondFactor(own, { password }, origin)
  await database.query('update people set password = $2 where id = $1', [id, await slow.hash(password)])
  const entering = accounts.signIn(email, password, origin)
  await accounts.finishSecondFactor(own, codeAt(secret, clock.nowMs()), origin)
  const entered = await entering
  t.equal(entered.secondFactorDue, true)
  t.equal(await accounts.authenticateSession(entered.token), null)
})

t.test('nor does a password prove anything once there is a second factor', async t => {
  const proof = { password }
  for (const [name, change] of Object.entries({
    'recovery codes': (who: ClientIdentity) => accounts.renewRecoveryCodes(who, proof, origin),
    'switching it off': (who: ClientIdentity) => accounts.removeSecondFactor(who, proof, origin),
    'another one': (who: ClientIdentity) => accounts.beginSecondFactor(who, proof, origin),
    'another address': (who: ClientIdentity) =>
      accounts.changeEmail(who, `else-${who.user.email}`, proof, origin),
  })) {
    const { email, id } = await someone()
    const [own, other] = [
      await accounts.signIn(email, password, origin),
      await accounts.signIn(email, password, origin),
    ]
    const { secret } = await accounts.beginSecondFactor(own, proof, origin)
    await database.query('update people set password = $2 where id = $1', [id, await slow.hash(password)])
    await database.query('delete from login_counts')
    const changing = change(other).then(
      () => 'done',
      (error: unknown) => (error instanceof AppError ? error.code : String(error)),
    )
    await eventually(async () => {
      const { rowCount } = await database.query('select from login_counts where cardinality(taken) = 1')
      if (rowCount === 0) throw new Error('the password is not looked at yet')
    })
    const codes = await accounts.finishSecondFactor(own, codeAt(secret, clock.nowMs()), origin)
    t.equal(await changing, 'conflict', name)
    const entering = await accounts.signIn(email, password, origin)
    t.equal(entering.secondFactorDue, true, 'it is on')
    t.ok(await accounts.enterSecondFactor(entering.token, codes[0] ?? '', origin), 'with its own codes')
    const begun = await database.query('select from second_factor_enrolments where person_id = $1', [id])
    const sent = await database.query('select from mails where recipient = $1', [`else-${email}`])
    t.same([begun.rowCount, sent.rowCount], [0, 0])
  }
})

t.test('an organization keeps an owner and an administrator, whoever removes whom', async t => {
  const one = await someone()
  const others = [await someone(), await someone(), await someone()]
  for (const { id } of others) {
    await database.query(
      `insert into memberships (id, person_id, organization_id, permissions) values ($1, $2, $3, '{ADMIN}')`,
      [`m${id}`, id, one.organization.id],
    )
  }
  const by = (userId: UserId) => ({ userId, organization: one.organization.slug, origin })
  const given = others.map(({ id }) => accounts.transferOwnership(by(one.id), id))
  t.equal(await through(given), 1, 'it is given away once')
  await through([
    ...others.flatMap(({ id }) => others.map(other => accounts.removeMember(by(id), other.id))),
    ...others.map(({ id }) => accounts.changeMember(by(one.id), id, { role: 'ACTION_RUNNER' })),
    accounts.changeMember(by(others[0]?.id as UserId), one.id, { role: 'ACTION_RUNNER' }),
  ])
  const { rows } = await database.query(
    `select from memberships join organizations on organizations.id = organization_id
     where organization_id = $1 and owner_id = person_id and 'ADMIN' = any(permissions)`,
    [one.organization.id],
  )
  t.equal(rows.length, 1)
})

t.test('there are no more than there may be', async t => {
  const { id, organization } = await someone()
  const by = { userId: id, organization: organization.slug, origin }
  const made = async (max: number, work: (index: number) => Promise<unknown>): Promise<number> => {
    for (let at = 0; at < max - 2; at += 1) await work(at)
    return through(times(20, index => work(1_000 + index)))
  }
  t.equal(
    await made(limits.accessTokensPerPersonMax, index =>
      accounts.createAccessToken(id, { name: `t${index}`, scope: 'read', days: 1 }, origin),
    ),
    2,
    'access tokens',
  )
  t.equal(
    await made(limits.emailDomainsPerOrganizationMax, index => accounts.addDomain(by, `d${index}.example`)),
    2,
    'domains',
  )
  t.equal(
    // Production and development are there already.
    await made(limits.environmentsPerOrganizationMax - 2, index =>
      accounts.addEnvironment(by, { name: `e${index}` }),
    ),
    2,
    'environments',
  )
})

t.test('what is counted and what is taken back take hold of its rows in one order', async t => {
  // The embedded one has no two statements at a time.
  if (database.embedded) return
  const attempts = createLoginLimits({
    database,
    clock,
    secret: 'of this test',
    failuresPerAccountMax: 10,
    failuresPerAddressMax: 10,
    signUpsPerAddressMax: 1,
  })
  const keys = async (): Promise<string[]> =>
    (await database.query<{ key: string }>('select key from login_counts')).rows.map(({ key }) => key)
  // The digests of some stand in the order in which they are counted, of others the other way round.
  for (let round = 0; round < 8; round += 1) {
    const address = `203.0.113.${round}`
    await database.query('delete from login_counts')
    await attempts.attempt(`neighbour${round}@example.com`, address)
    const before = await keys()
    const attempt = await attempts.attempt(`side${round}@example.com`, address)
    const [account] = (await keys()).filter(key => !before.includes(key))
    const { rows } = await database.query<{ key: string }>(
      'select key from login_counts where key <> $1 and cardinality(taken) = 2',
      [account],
    )
    const takingBack = await database.transaction(async client => {
      await client.query('select from login_counts where key = $1 for update', [account])
      const work = attempt.takenBack()
      await eventually(async () => {
        const { rowCount } = await database.query('select from pg_locks where not granted')
        if (rowCount === 0) throw new Error('nothing waits yet')
      })
      const free = await database.query(
        'select from login_counts where key = any($1) for update skip locked',
        [rows.map(({ key }) => key)],
      )
      t.equal(free.rowCount, rows.length, 'who waits for the account does not hold the address')
      return { work }
    })
    await takingBack.work
  }
})

t.test('the name of a run that is being written is not forgotten', async t => {
  if (database.embedded) return
  const { organization } = await someone()
  const { rows } = await database.query<{ id: string }>(
    `select id from environments where organization_id = $1 and slug = 'production'`,
    [organization.id],
  )
  const place = [organization.id, rows[0]?.id]
  const name = `insert into transaction_names (organization_id, environment_id, slug, name) values ($1, $2, 'pay', 'Pay')
     on conflict do nothing`
  await database.query(name, place)
  const forgetting = await database.transaction(async client => {
    await client.query(name, place)
    await client.query(
      `insert into transactions (id, organization_id, environment_id, action_slug, action_name, status, created_at,
         updated_at, epoch, seq)
       values ('being-written', $1, $2, 'pay', 'Pay', 'RUNNING', now(), now(), 1, 1)`,
      place,
    )
    const work = forgetOld(database, { historyDays: 1, notificationDays: 0, auditDays: 0 })
    await eventually(async () => {
      const { rowCount } = await database.query('select from pg_locks where not granted')
      if (rowCount === 0) throw new Error('it does not wait for what is being written')
    })
    return { work }
  })
  t.equal((await forgetting.work).names, 0)
  const { rowCount } = await database.query(
    'select from transaction_names where organization_id = $1 and environment_id = $2',
    place,
  )
  t.equal(rowCount, 1)
})

t.test('nobody waits for somebody who waits for them', async t => {
  const boss = await someone()
  const { id: organizationId, slug } = boss.organization
  const by = { userId: boss.id, organization: slug, origin }
  await operate('verifyEmailDomain', { organizationId, domain: 'corp.example' })
  await accounts.openDirectory(by, 'DEVELOPER')
  const { rows } = await database.query<{ id: string }>('select id from directories')
  const directory = { id: rows[0]?.id ?? '', organizationId, permissions: ['DEVELOPER'] }
  const settings = {
    provider: { issuer: 'https://idp.example', clientId: 'a', clientSecret: 'b' },
    role: 'DEVELOPER',
    groupClaim: 'groups',
    groups: [],
    isRequired: false,
  } as const
  await accounts.setSingleSignOn(by, settings)
  const provider = await accounts.providerOfOrganization(organizationId)
  if (!provider) throw new Error('no provider')
  const wanted = (email: string, isActive: boolean) => ({
    userName: email,
    externalId: null,
    email,
    givenName: null,
    familyName: null,
    displayName: null,
    isActive,
  })
  const failures: string[] = []
  for (let round = 0; round < 12; round += 1) {
    const email = `r${round}@corp.example`
    const user = await accounts.changeDirectory(directory, null, change =>
      addDirectoryUser(change, wanted(email, true)),
    )
    const person = await database.query<{ id: UserId }>('select id from people where email = $1', [email])
    const personId = person.rows[0]?.id as UserId
    const left = await operate<{ id: string }>('createInvitation', {
      organizationId,
      email,
      permissions: ['DEVELOPER'],
      groupIds: [],
    })
    const claims = {
      issuer: 'https://idp.example',
      subject: email,
      email,
      emailVerified: true,
      firstName: null,
      lastName: null,
      groups: null,
    }
    const works = [
      accounts.enterOrganization(provider, claims, origin),
      accounts.changeDirectory(directory, null, change =>
        changeDirectoryUser(change, user.id, wanted(email, round % 2 === 0)),
      ),
      accounts.changeDirectory(directory, null, change =>
        changeDirectoryUser(change, user.id, wanted(email, round % 2 === 1)),
      ),
      accounts.enterOrganization(provider, { ...claims, subject: `${email} again` }, origin),
      accounts.setSingleSignOn(by, settings),
      accounts.joinInvited(left.id, personId, origin),
      accounts.removeMember(by, personId),
      accounts.changeMember(by, personId, { role: 'ACTION_RUNNER' }),
      accounts.addTeam(by, { name: `team ${round}` }),
    ]
    for (const end of await Promise.allSettled(works)) {
      if (end.status === 'fulfilled') continue
      const { reason } = end as { reason: unknown }
      if (!(reason instanceof AppError) || reason.code === 'internal' || reason.kind.retryable)
        failures.push(String(reason))
    }
  }
  t.same(failures, [])
})
