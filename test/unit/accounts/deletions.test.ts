/** Who and what is deleted leaves nothing behind but the audit log: every table is searched for the ids. And what is bounded. */
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { OrganizationId, UserId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { testAccounts } from '../../support/database.js'

const { accounts, clock, database } = await testAccounts(t)
const origin = { address: '192.0.2.1', userAgent: null }
const password = 'a good password'
const operate = <Result>(name: string, argument: unknown) =>
  runAdminOperation(name, argument, { accounts }) as Promise<Result>

interface Made {
  readonly id: UserId
  readonly ownedOrganizations: {
    id: OrganizationId
    slug: string
    environments: { id: string; slug: string }[]
  }[]
}

/** Names of the tables in which this text stands anywhere. */
async function tablesWith(text: string): Promise<string[]> {
  const { rows: tables } = await database.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public'
     and table_type = 'BASE TABLE' order by table_name`,
  )
  const found: string[] = []
  for (const { name } of tables) {
    const { rows } = await database.query(
      `select from "${name}" as row where position($1 in to_jsonb(row)::text) > 0 limit 1`,
      [text],
    )
    if (rows.length > 0) found.push(name)
  }
  return found
}

t.test('a person with an organization of their own, and everything in it', async t => {
  const email = 'gone@example.com'
  const made = await operate<Made>('createUser', { email, password, createOrganization: true })
  const [organization] = made.ownedOrganizations
  if (!organization) throw new Error('no organization')
  const { id: organizationId, slug } = organization
  const by = { userId: made.id, organization: slug, origin }
  const other = await operate<Made>('createUser', {
    email: 'stays@example.com',
    password,
    createOrganization: true,
  })
  await accounts.signIn(email, password, origin)
  await accounts.createAccessToken(made.id, { name: 'x', scope: 'read', days: 1 }, origin)
  await accounts.createKey(made.id, slug, { kind: 'PRODUCTION' }, origin)
  await operate('enrollMfa', { email })
  const team = await accounts.addTeam(by, { name: 'Team' })
  await accounts.addToTeam(by, team.id, made.id)
  await accounts.addEnvironment(by, { name: 'Staging' })
  await accounts.invite(by, { email: 'guest@example.com', role: 'DEVELOPER', teamIds: [team.id] })
  await accounts.addHttpHost(by, 'https://hosts.example/x')
  await operate('verifyEmailDomain', { organizationId, domain: 'corp.example' })
  await accounts.openDirectory(by, 'ACTION_RUNNER')
  await accounts.requestPasswordReset(email, origin)
  await accounts.passwordResetsDone()
  accounts.lookedAt(await accounts.actor(made.id, slug, 'production'))
  const production = organization.environments.find(environment => environment.slug === 'production')?.id
  await accounts.recordDeclarations(
    { organizationId, environmentId: production as never, developerId: null },
    [
      {
        slug: 'pay',
        name: 'Pay',
        description: null,
        backgroundable: false,
        warnOnClose: true,
        unlisted: false,
      },
    ],
    [],
  )
  await accounts.writeHistory([
    {
      id: 'run-1' as never,
      organizationId,
      environmentId: production as never,
      developerId: null,
      ownerId: made.id,
      slug: 'pay',
      name: 'Pay',
      hostId: null,
      status: 'COMPLETED',
      resultStatus: 'SUCCESS',
      resultData: null,
      backgroundable: false,
      createdAtMs: clock.nowMs(),
      updatedAtMs: clock.nowMs(),
      completedAtMs: clock.nowMs(),
      epoch: 1,
      seq: 1,
      logs: [{ index: 0, text: 'a line', atMs: clock.nowMs() }],
    },
  ])
  await accounts.audits.flush()
  t.ok((await tablesWith(organizationId)).length > 12, (await tablesWith(organizationId)).join(' '))
  t.ok((await tablesWith(made.id)).length > 5, (await tablesWith(made.id)).join(' '))
  const { people } = await operate<{ people?: string[] }>('deleteUsers', { ids: [made.id], emails: [] })
  t.ok(people === undefined || people.length === 1)
  await accounts.audits.flush()
  // Which organization has changed is told to all nodes for an hour, and which was the first is never forgotten.
  t.same(await tablesWith(organizationId), ['audit_log', 'changes', 'installation'])
  t.same(await tablesWith(made.id), ['audit_log'])
  t.same(await tablesWith('run-1'), [])
  t.ok(await accounts.signIn('stays@example.com', password, origin))
  t.ok(other.id)
})

t.test('nobody sends unwanted mail through invitations', async t => {
  const made = await operate<Made>('createUser', {
    email: 'spammer@example.com',
    password,
    createOrganization: true,
  })
  const [organization] = made.ownedOrganizations
  const by = { userId: made.id, organization: organization?.slug ?? '', origin }
  await database.query(
    `insert into mails (id, organization_id, kind, recipient, subject, status, deadline_at)
     select 'mail' || number, $1, 'invitation', 'x@example.com', 'x', 'SENT', now() from generate_series(1, $2) as number`,
    [organization?.id, limits.invitationMailsPerDayMax - 1],
  )
  const invited = await accounts.invite(by, { email: 'one@example.com', role: 'DEVELOPER', teamIds: [] })
  const more = () => accounts.invite(by, { email: 'two@example.com', role: 'DEVELOPER', teamIds: [] })
  await t.rejects(more(), { code: 'too-many-requests' })
  clock.advance(61_000)
  await t.rejects(accounts.resendInvitation(by, invited.id), { code: 'too-many-requests' })
  await database.query(`update mails set created_at = now() - interval '25 hours' where status = 'SENT'`)
  t.ok(await more())
})

t.test('sessions of one person are bounded: those used longest ago end', async t => {
  const { id } = await operate<Made>('createUser', { email: 'script@example.com', password })
  await database.query(
    `insert into sessions (id, person_id, token_hash, created_at, last_used_at, expires_at)
     select 's' || number, $1, decode(md5(number::text), 'hex'), $2, $2::timestamptz + number * interval '1 ms',
       $2::timestamptz + interval '1 day' from generate_series(1, $3) as number`,
    [id, new Date(clock.nowMs()), limits.sessionsPerPersonMax + 5],
  )
  t.ok(await accounts.signIn('script@example.com', password, origin))
  const { rows } = await database.query<{ id: string }>('select id from sessions where person_id = $1', [id])
  t.equal(rows.length, limits.sessionsPerPersonMax)
  t.notOk(rows.some(row => row.id === 's1'))
})

t.test('whoever has the password and guesses codes is told of, once', async t => {
  const email = 'guessed@example.com'
  await operate('createUser', { email, password })
  await operate('enrollMfa', { email })
  const told = async (): Promise<number> =>
    (await database.query(`select from mails where recipient = $1 and subject like '%wrong codes%'`, [email]))
      .rows.length
  for (let round = 0; round < 2; round += 1) {
    const due = await accounts.signIn(email, password, origin)
    for (let guess = 0; guess < 6; guess += 1)
      await t.rejects(accounts.enterSecondFactor(due.token, 'aaaa-bbbb', origin))
    t.equal(await told(), 1)
    clock.advance(600_001)
  }
})
