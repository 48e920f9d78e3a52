/**
 * Everything that changes or tells something of an organization, tried by everybody who may not: strangers, strangers by
 * way of their own organization, members whose role is too low, somebody who was removed, nobody at all, and another site.
 * Nothing may change, and what exists must look absent to strangers.
 */
import t from 'tap'
import { type Call, type Member, twoOrganizations } from './two-organizations.js'

const stage = await twoOrganizations(t)
const { accounts, call, database, owner, administrator, developer, runner, stranger, audited } = stage
const removed = await stage.member('removed@example.com', ['ADMIN'])
await call(owner, { method: 'DELETE', path: `ours/members/${removed.id}` })

const idOf = async (who: Member, made: Call): Promise<string> => {
  const answer = await call(who, made)
  if (answer.status !== 201) throw new Error(`${made.path}: ${answer.text}`)
  return String(answer.body.id)
}
const team = await idOf(owner, { method: 'POST', path: 'ours/teams', body: { name: 'Finance' } })
const theirTeam = await idOf(stranger, { method: 'POST', path: 'theirs/teams', body: { name: 'Spies' } })
const invitation = await idOf(owner, {
  method: 'POST',
  path: 'ours/invitations',
  body: { email: 'guest@example.com', role: 'DEVELOPER' },
})
const key = await idOf(owner, { method: 'POST', path: 'ours/keys', body: { kind: 'PRODUCTION' } })
await accounts.recordDeclarations(
  {
    organizationId: stage.organizationId,
    environmentId: stage.environmentIds.production as never,
    developerId: null,
  },
  [
    {
      slug: 'money/pay',
      name: 'Pay',
      description: null,
      backgroundable: false,
      warnOnClose: true,
      unlisted: false,
    },
  ],
  [{ slug: 'money', name: 'Money', description: null, unlisted: false, hasHandler: true }],
)
const settings = (await call(owner, { method: 'GET', path: 'ours/environments/production/settings' })).body
const [action] = settings.actions as { id: string }[]
const [page] = settings.pages as { id: string }[]

type Role = 'developer' | 'runner'
/** What is asked for, and who of the roles below administrators may. */
const calls: readonly (Omit<Call, 'path'> & { path: string; may?: readonly Role[] })[] = [
  { method: 'GET', path: 'members', may: ['developer', 'runner'] },
  { method: 'PATCH', path: `members/${runner.id}`, body: { role: 'ADMIN' } },
  { method: 'PATCH', path: `members/${developer.id}`, body: { teams: [team] } },
  { method: 'DELETE', path: `members/${administrator.id}` },
  { method: 'GET', path: 'invitations' },
  { method: 'POST', path: 'invitations', body: { email: 'spy@example.com', role: 'ADMIN' } },
  { method: 'POST', path: `invitations/${invitation}/resend`, body: {} },
  { method: 'DELETE', path: `invitations/${invitation}` },
  { method: 'GET', path: 'teams', may: ['developer', 'runner'] },
  { method: 'GET', path: `teams/${team}`, may: ['developer', 'runner'] },
  { method: 'POST', path: 'teams', body: { name: 'Others' } },
  { method: 'PATCH', path: `teams/${team}`, body: { name: 'Taken' } },
  { method: 'PUT', path: `teams/${team}/members/${runner.id}`, body: {} },
  { method: 'DELETE', path: `teams/${team}/members/${runner.id}` },
  { method: 'DELETE', path: `teams/${team}` },
  { method: 'POST', path: 'environments', body: { name: 'Theirs' } },
  { method: 'PATCH', path: 'environments/staging', body: { name: 'Taken' } },
  { method: 'DELETE', path: 'environments/staging' },
  { method: 'DELETE', path: `keys/${key}` },
  { method: 'GET', path: 'environments/production/settings', may: ['developer'] },
  {
    method: 'PATCH',
    path: `environments/production/settings/actions/${action?.id}`,
    body: { isArchived: false },
    may: ['developer'],
  },
  {
    method: 'PUT',
    path: `environments/production/settings/actions/${action?.id}/access`,
    body: { availability: null },
    may: ['developer'],
  },
  {
    method: 'PUT',
    path: `environments/production/settings/pages/${page?.id}/access`,
    body: { availability: null },
    may: ['developer'],
  },
  { method: 'GET', path: 'settings', may: ['developer'] },
  { method: 'PATCH', path: 'settings', body: { name: 'Taken', requireSecondFactor: true } },
  { method: 'GET', path: 'settings/slug?slug=free' },
  { method: 'PUT', path: 'owner', body: { id: developer.id } },
  { method: 'DELETE', path: '?slug=ours' },
  { method: 'GET', path: 'audit' },
  { method: 'GET', path: 'audit/events' },
  { method: 'GET', path: 'audit/export?format=csv' },
]
const named = (organization: string, { path, ...rest }: (typeof calls)[number]): Call => ({
  ...rest,
  path: path.startsWith('?') ? `${organization}${path}` : `${organization}/${path}`,
})

/** Everything that could be changed, as text. */
async function everything(): Promise<string> {
  const tables = [
    'organizations',
    'environments',
    'memberships',
    'teams',
    'team_memberships',
    'invitations',
    'api_keys',
    'mails',
    'action_metadata',
    'action_group_metadata',
    'action_access',
    'action_group_access',
  ]
  const texts = []
  for (const table of tables) {
    const { rows } = await database.query<{ text: string }>(
      `select coalesce(jsonb_agg(to_jsonb(row) order by to_jsonb(row)::text), '[]')::text as text from ${table} as row`,
    )
    texts.push(rows[0]?.text)
  }
  return texts.join('\n')
}

t.test('strangers, and who was removed: it does not exist', async t => {
  const before = await everything()
  for (const what of calls) {
    const label = `${what.method} ${what.path}`
    t.equal((await call(stranger, named('ours', what))).status, 404, label)
    t.equal((await call(removed, named('ours', what))).status, 404, `removed: ${label}`)
    t.equal((await call(null, named('ours', what))).status, 401, `signed out: ${label}`)
  }
  t.equal(await everything(), before, 'nothing has changed')
})

t.test('an id of ours by way of an organization of theirs does not exist', async t => {
  const before = await everything()
  const foreign = calls.filter(({ path }) => /[0-9a-f-]{36}|staging|[\w-]{43}/.test(path))
  t.ok(foreign.length > 10)
  for (const what of foreign) {
    const answer = await call(stranger, named('theirs', what))
    // Taking somebody who is not in it out of a team that is not there is nothing either.
    t.equal(answer.status, 404, `${what.method} ${what.path}`)
  }
  const bodies: Call[] = [
    { method: 'PUT', path: 'theirs/owner', body: { id: developer.id } },
    { method: 'PUT', path: `theirs/teams/${theirTeam}/members/${developer.id}`, body: {} },
    { method: 'PATCH', path: `ours/members/${developer.id}`, body: { teams: [theirTeam] } },
    {
      method: 'PUT',
      path: `ours/environments/production/settings/actions/${action?.id}/access`,
      body: { availability: 'GROUPS', teams: [{ id: theirTeam, level: 'RUNNER' }] },
    },
    {
      method: 'PUT',
      path: `ours/environments/staging/settings/actions/${action?.id}/access`,
      body: { availability: 'ORGANIZATION' },
    },
    {
      method: 'POST',
      path: 'ours/invitations',
      body: { email: 'x@example.com', role: 'DEVELOPER', teams: [theirTeam] },
    },
  ]
  for (const what of bodies) {
    const who = what.path.startsWith('theirs') ? stranger : owner
    t.equal((await call(who, what)).status, 404, `${what.method} ${what.path}`)
  }
  t.equal(await everything(), before, 'nothing has changed')
})

t.test('a role that is too low is refused, and the audit log tells', async t => {
  const before = await everything()
  for (const [role, who] of Object.entries({ developer, runner }) as [Role, Member][]) {
    for (const what of calls) {
      if (what.may?.includes(role)) continue
      const status = what.path.startsWith('keys/') ? 404 : 403
      t.equal((await call(who, named('ours', what))).status, status, `${role}: ${what.method} ${what.path}`)
    }
    const rows = (await audited('access.denied')).filter(row => row.person_id === who.id)
    const denied = calls.filter(({ may, path }) => !may?.includes(role) && !path.startsWith('keys/'))
    t.equal(rows.length, denied.length, `${role}: each refusal is a row`)
  }
  t.equal(await everything(), before, 'nothing has changed')
  for (const what of calls.filter(({ method }) => method === 'GET')) {
    for (const [role, who] of Object.entries({ developer, runner }) as [Role, Member][])
      if (what.may?.includes(role))
        t.equal((await call(who, named('ours', what))).status, 200, `${role} ${what.path}`)
    t.equal((await call(owner, named('ours', what))).status, 200, what.path)
  }
})

t.test('another site changes nothing in somebody’s name', async t => {
  const before = await everything()
  for (const what of calls.filter(({ method }) => method !== 'GET')) {
    const { path } = named('ours', what)
    const answer = await stage.ask(what.method, `/api/v1/organizations/${path}`, {
      cookie: owner.cookie,
      headers: { origin: 'https://evil.example' },
      ...(what.body !== undefined && { body: what.body }),
    })
    t.match(answer, { status: 403, body: { code: 'cross-origin' } }, `${what.method} ${path}`)
  }
  t.equal(await everything(), before, 'nothing has changed')
})

t.test('what is no JSON object, too large, or of the wrong kind is refused', async t => {
  const before = await everything()
  const bodies: Call[] = [
    { method: 'PATCH', path: `ours/members/${runner.id}`, body: { role: ['ADMIN'] } },
    { method: 'PATCH', path: `ours/members/${runner.id}`, body: [] },
    { method: 'POST', path: 'ours/invitations', body: { email: { $ne: null }, role: 'ADMIN' } },
    { method: 'POST', path: 'ours/invitations', body: { email: 'x', role: 'ADMIN' } },
    {
      method: 'POST',
      path: 'ours/invitations',
      body: { email: 'a@b.example\r\nBcc: c@d.example', role: 'ADMIN' },
    },
    { method: 'POST', path: 'ours/environments', body: { name: 'x', color: 'javascript:' } },
    { method: 'POST', path: 'ours/environments', body: { name: 'x', slug: '../x' } },
    { method: 'PATCH', path: 'ours/settings', body: { slug: 'a+b' } },
    {
      method: 'PUT',
      path: `ours/environments/production/settings/actions/${action?.id}/access`,
      body: { availability: 'EVERYBODY' },
    },
  ]
  for (const what of bodies) {
    const { status } = await call(owner, what)
    t.ok(
      status === 400 || status === 422,
      `${status} ${what.method} ${what.path} ${JSON.stringify(what.body)}`,
    )
  }
  t.equal((await call(owner, { method: 'GET', path: 'ours/audit?cursor=W10' })).status, 400)
  t.equal((await call(owner, { method: 'GET', path: 'ours/audit?from=yesterday' })).status, 400)
  t.equal((await call(owner, { method: 'GET', path: 'ours/audit?event=%00' })).status, 400)
  t.equal(await everything(), before, 'nothing has changed')
})
