/** Members, invitations and teams over HTTP: what people do with them, and what stays as it is whatever they try. */
import t from 'tap'
import type { MemberListing, PendingInvitation } from '../../../lib/accounts/index.js'
import { type Member, twoOrganizations } from './two-organizations.js'

const stage = await twoOrganizations(t)
const { accounts, call, clock, database, owner, administrator, developer, runner, audited } = stage

async function listed(search = ''): Promise<MemberListing[]> {
  const answer = await call(owner, {
    method: 'GET',
    path: `ours/members?search=${encodeURIComponent(search)}`,
  })
  return answer.body.members as MemberListing[]
}
async function pending(): Promise<PendingInvitation[]> {
  return (await call(owner, { method: 'GET', path: 'ours/invitations' })).body
    .invitations as PendingInvitation[]
}
const change = (who: Member, of: Member, body: unknown) =>
  call(who, { method: 'PATCH', path: `ours/members/${of.id}`, body })
const remove = (who: Member, of: Member) => call(who, { method: 'DELETE', path: `ours/members/${of.id}` })
async function addTeam(name: string): Promise<string> {
  const answer = await call(owner, { method: 'POST', path: 'ours/teams', body: { name } })
  return String(answer.body.id)
}

t.test('members are listed with their roles, searched and paged', async t => {
  t.match(await listed(), [
    { email: 'admin@example.com', role: 'ADMIN', isOwner: false, liveKeys: 0 },
    { email: 'developer@example.com', role: 'DEVELOPER' },
    { email: 'owner@example.com', role: 'ADMIN', isOwner: true },
    { email: 'runner@example.com', role: 'ACTION_RUNNER' },
  ])
  t.match(
    (await listed('DEVEL')).map(({ email }) => email),
    ['developer@example.com'],
  )
  t.same(await listed('%'), [], 'a search is text, no pattern')
  const first = await call(owner, { method: 'GET', path: 'ours/members?limit=3' })
  t.equal((first.body.members as unknown[]).length, 3)
  const second = await call(owner, { method: 'GET', path: `ours/members?limit=3&cursor=${first.body.next}` })
  t.match(second.body, { members: [{ email: 'runner@example.com' }], next: null })
  for (const cursor of [
    'x',
    Buffer.from('["a"]').toString('base64url'),
    Buffer.from('[1,2]').toString('base64url'),
  ])
    t.equal((await call(owner, { method: 'GET', path: `ours/members?cursor=${cursor}` })).status, 400)
  const seen = await call(runner, { method: 'GET', path: 'ours/members' })
  t.equal(seen.status, 200)
  t.notMatch(seen.text, /liveKeys|hasSecondFactor/, 'only for who may change members')
})

t.test('a role and teams are set; the person’s rights follow at once', async t => {
  const finance = await addTeam('Finance & Tax')
  t.match((await call(owner, { method: 'GET', path: 'ours/teams' })).body.teams, [
    { slug: 'finance-tax', name: 'Finance & Tax', members: 0, isManaged: false },
  ])
  t.notOk(
    (await accounts.actor(runner.id as never, 'ours', 'production')).permissions.has('WRITE_PROD_ACTIONS'),
  )
  t.equal((await change(owner, runner, { role: 'DEVELOPER', teams: [finance] })).status, 200)
  const actor = await accounts.actor(runner.id as never, 'ours', 'production')
  t.match(actor, { role: 'developer', teams: ['finance-tax'] })
  t.match(await listed('runner'), [{ role: 'DEVELOPER', teams: [{ slug: 'finance-tax' }] }])
  t.equal((await change(owner, runner, { teams: [] })).status, 200)
  t.match(await accounts.actor(runner.id as never, 'ours', 'production'), { role: 'developer', teams: [] })
  t.equal((await change(owner, runner, { role: 'ACTION_RUNNER' })).status, 200)
  t.equal((await change(owner, runner, { role: 'SUPERUSER' })).status, 400)
  t.equal(
    (await change(owner, runner, { role: 'READONLY_VIEWER' })).status,
    400,
    'the hidden role is not given',
  )
  const rows = (await audited('member.changed')).filter(row => row.details.role === 'ACTION_RUNNER')
  t.match(rows, [{ person_id: owner.id, details: { member: runner.id } }])
})

t.test('the owner and the last administrator stay', async t => {
  t.equal((await change(administrator, owner, { role: 'DEVELOPER' })).status, 409)
  t.equal((await remove(administrator, owner)).status, 409)
  t.equal((await remove(owner, owner)).status, 409, 'the owner does not remove themselves either')
  // Without an owner the last administrator still stays.
  await database.query(`update organizations set owner_id = null where slug = 'ours'`)
  await database.query('delete from memberships where person_id = $1', [owner.id])
  accounts.identities.forgetRights()
  t.equal((await remove(administrator, administrator)).status, 409)
  t.equal((await change(administrator, administrator, { role: 'DEVELOPER' })).status, 409)
  const second = await stage.member('second@example.com', ['ADMIN'])
  const both = await Promise.all([
    remove(second, administrator),
    remove(administrator, second),
    change(administrator, administrator, { role: 'ACTION_RUNNER' }),
  ])
  const { rows } = await database.query(`select from memberships where 'ADMIN' = any(permissions)
    and organization_id = '${stage.organizationId}'`)
  t.ok(rows.length >= 1, `somebody is left: ${both.map(({ status }) => status)}`)
  await database.query('delete from memberships where person_id = any($1)', [[administrator.id, second.id]])
  await database.query(
    `insert into memberships (id, person_id, organization_id, permissions)
     select 'again-' || people.id, people.id, organizations.id, '{ADMIN}' from people, organizations
     where people.id = any($1) and slug = 'ours'`,
    [[owner.id, administrator.id]],
  )
  await database.query(`update organizations set owner_id = $1 where slug = 'ours'`, [owner.id])
  accounts.identities.forgetRights()
})

t.test('nobody gives or takes more than they have', async t => {
  const clerk = await stage.member('clerk@example.com', ['ACTION_RUNNER', 'WRITE_ORG_USERS'])
  t.equal((await change(clerk, clerk, { role: 'ADMIN' })).status, 403, 'not to themselves')
  t.equal((await change(clerk, administrator, { role: 'ACTION_RUNNER' })).status, 403)
  t.equal((await remove(clerk, administrator)).status, 403)
  const invite = {
    method: 'POST',
    path: 'ours/invitations',
    body: { email: 'new@example.com', role: 'ADMIN' },
  }
  t.equal((await call(clerk, invite)).status, 403)
  t.equal(
    (await call(clerk, { ...invite, body: { email: 'new@example.com', role: 'ACTION_RUNNER' } })).status,
    201,
  )
  for (const what of [
    'change a role above one’s own',
    'remove a member above oneself',
    'invite above oneself',
  ])
    t.ok(
      (await audited('access.denied')).some(row => row.person_id === clerk.id && row.details.what === what),
      what,
    )
})

t.test('who is removed loses keys and rights', async t => {
  const leaver = await stage.member('leaver@example.com', ['ADMIN'])
  const { body: key } = await call(leaver, {
    method: 'POST',
    path: 'ours/keys',
    body: { kind: 'PRODUCTION' },
  })
  t.match(await accounts.authenticateKey(String(key.key)), { user: { email: leaver.email } })
  t.match(await listed('leaver'), [{ liveKeys: 1 }])
  const revoked: string[] = []
  t.teardown(accounts.onRevoked(event => revoked.push(...event.keys)))
  t.equal((await remove(owner, leaver)).status, 200)
  t.same(revoked, [key.id], 'hosts are told')
  await t.rejects(accounts.authenticateKey(String(key.key)), { code: 'invalid-api-key' })
  await t.rejects(accounts.actor(leaver.id as never, 'ours', 'production'), { code: 'not-found' })
  t.equal((await call(leaver, { method: 'GET', path: 'ours/members' })).status, 404)
  t.equal((await remove(owner, leaver)).status, 404)
  const rows = (await audited('member.removed')).filter(row => row.person_id === owner.id)
  t.match(rows, [{ details: { member: leaver.id, keys: 1 } }])
})

t.test('an invitation is a mail with a link, for 30 days', async t => {
  const team = await addTeam('Support')
  const body = { email: ' Guest@Example.com ', role: 'DEVELOPER', teams: [team] }
  const made = await call(owner, { method: 'POST', path: 'ours/invitations', body })
  t.match(made, { status: 201, body: { email: 'Guest@Example.com', role: 'DEVELOPER', teamIds: [team] } })
  const id = String(made.body.id)
  t.equal(Date.parse(String(made.body.expiresAt)) - clock.nowMs(), 30 * 86_400_000)
  const mails = await database.query<{ text: string; recipient: string }>(
    `select text, recipient from mails where recipient = 'Guest@Example.com'`,
  )
  t.equal(mails.rows.length, 1)
  t.match(mails.rows[0]?.text, `http://localhost:3000/signup?token=${id}`)
  t.match(mails.rows[0]?.text, 'join Ours')

  const resend = { method: 'POST', path: `ours/invitations/${id}/resend`, body: {} }
  t.equal((await call(owner, resend)).status, 429, 'not at once')
  clock.advance(61_000)
  t.equal((await call(owner, resend)).status, 200)
  t.equal((await database.query(`select from mails where recipient = 'Guest@Example.com'`)).rows.length, 2)
  const again = { ...body, email: 'guest@example.com', role: 'ACTION_RUNNER', teams: [] }
  const second = await call(owner, { method: 'POST', path: 'ours/invitations', body: again })
  t.equal(second.status, 201)
  const open = (await pending()).filter(({ email }) => email.toLowerCase() === 'guest@example.com')
  t.match(open, [{ id: String(second.body.id), role: 'ACTION_RUNNER' }], 'in the place of the older one')
  await t.rejects(accounts.invitation(id), { code: 'not-found' })
})

t.test('who is invited joins with the role and the teams, once', async t => {
  const team = await addTeam('Research')
  const body = { email: 'joiner@example.com', role: 'DEVELOPER', teams: [team] }
  const made = await call(owner, { method: 'POST', path: 'ours/invitations', body })
  t.equal(made.status, 201, made.text)
  const origin = { address: '192.0.2.1', userAgent: null }
  const account = { firstName: 'Jo', lastName: 'Iner', password: 'a good password' }
  const joined = await accounts.signUpInvited(String(made.body.id), account, origin)
  t.match(await accounts.actor(joined.user.id, 'ours', 'production'), {
    role: 'developer',
    teams: ['research'],
  })
  const gone = { method: 'DELETE', path: `ours/invitations/${made.body.id}` }
  t.equal((await call(owner, gone)).status, 404, 'there is nothing left to revoke')
  t.equal((await call(owner, { method: 'POST', path: 'ours/invitations', body })).status, 409, 'a member')
})

t.test('teams: renamed, filled, emptied, deleted; those of a directory are not', async t => {
  const make = (body: unknown) => call(owner, { method: 'POST', path: 'ours/teams', body })
  const made = await make({ name: 'Legal' })
  t.match(made, { status: 201, body: { slug: 'legal' } })
  t.equal((await make({ name: 'legal' })).status, 409)
  t.equal((await make({ name: '  ' })).status, 422)
  t.equal((await make({ name: 'Other', slug: 'not a slug' })).status, 400)
  const path = `ours/teams/${made.body.id}`
  t.equal((await call(owner, { method: 'PATCH', path, body: { name: 'Lawyers' } })).status, 200)
  t.equal(
    (await call(owner, { method: 'PUT', path: `${path}/members/${developer.id}`, body: {} })).status,
    200,
  )
  t.equal(
    (await call(owner, { method: 'PUT', path: `${path}/members/${developer.id}`, body: {} })).status,
    200,
  )
  t.match((await call(owner, { method: 'GET', path })).body, {
    team: { slug: 'legal', name: 'Lawyers', members: 1 },
    members: [{ email: developer.email }],
  })
  t.match(await accounts.actor(developer.id as never, 'ours', 'production'), { teams: ['legal'] })
  t.equal((await call(owner, { method: 'DELETE', path: `${path}/members/${developer.id}` })).status, 200)
  t.match(await accounts.actor(developer.id as never, 'ours', 'production'), { teams: [] })

  await database.query(`update teams set external_id = 'scim-1' where slug = 'legal'`)
  for (const managed of [
    { method: 'PATCH', path, body: { name: 'Mine' } },
    { method: 'DELETE', path },
    { method: 'PUT', path: `${path}/members/${developer.id}`, body: {} },
    { method: 'DELETE', path: `${path}/members/${developer.id}` },
    { method: 'PATCH', path: `ours/members/${developer.id}`, body: { teams: [String(made.body.id)] } },
  ])
    t.equal((await call(owner, managed)).status, 409, `${managed.method} ${managed.path}`)
  await database.query(`update teams set external_id = null where slug = 'legal'`)
  t.equal((await call(owner, { method: 'DELETE', path })).status, 200)
  t.equal((await call(owner, { method: 'GET', path })).status, 404)
})

t.test('an invitation ends after 30 days', async t => {
  const body = { email: 'late@example.com', role: 'DEVELOPER' }
  const { body: made } = await call(owner, { method: 'POST', path: 'ours/invitations', body })
  clock.advance(30 * 86_400_000 - 1)
  t.match(await accounts.invitation(String(made.id)), { email: 'late@example.com' })
  clock.advance(1)
  await t.rejects(accounts.invitation(String(made.id)), { code: 'not-found' })
})
