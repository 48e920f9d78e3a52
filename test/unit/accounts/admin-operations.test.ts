import t from 'tap'
import { adminOperationNames, runAdminOperation } from '../../../lib/accounts/index.js'
import type { NewSecondFactor } from '../../../lib/accounts/second-factors.js'
import { testAccounts } from '../../support/database.js'
import { rejectsWith } from './rejects-with.js'

const { accounts, database, clock } = await testAccounts(t)

interface User {
  id: string
  email: string
  mfaId: string | null
  ownedOrganizations: Organization[]
  memberships: {
    organizationId: string
    organizationSlug: string
    permissions: string[]
    groupIds: string[]
  }[]
}
interface Organization {
  id: string
  slug: string
  name: string
  promoCode: string | null
  ownerId?: string
  environments: { id: string; slug: string; name: string }[]
  groups: { id: string; slug: string; name: string }[]
}

let checked: { id: string; url: string } | undefined
const run = async <Result>(name: string, argument: unknown): Promise<Result> =>
  (await runAdminOperation(name, argument, {
    accounts,
    checkHttpHost: async host => {
      checked = host
      return 'ONLINE'
    },
    deleteQueuedActions: async () => 2,
  })) as Result

t.test('all operations are there', async t => {
  t.same([...adminOperationNames].sort(), [
    'addGroupMember',
    'checkHttpHost',
    'connectWorkOs',
    'createApiKey',
    'createEnvironment',
    'createGroup',
    'createInvitation',
    'createOrganization',
    'createUser',
    'deleteInvitations',
    'deleteOrganization',
    'deleteQueuedActions',
    'deleteUsers',
    'emailConfirmationUrl',
    'enrollMfa',
    'expireEmailConfirmation',
    'findApiKey',
    'findInvitation',
    'findOrganization',
    'findUser',
    'latestEmailConfirmation',
    'removeHttpHost',
    'setGlobalFlag',
    'setOrganizationFlag',
    'setUserMfa',
    'upsertHttpHost',
    'upsertPromoCode',
    'verifyEmailDomain',
  ])
})

t.test('a person with an organization', async t => {
  t.equal(await run('findUser', { email: 'test-runner@example.com' }), null)
  const user = await run<User>('createUser', {
    email: 'test-runner@example.com',
    firstName: 'Test',
    lastName: 'Runner',
    password: 'password',
    createOrganization: true,
  })
  t.match(user, { email: 'test-runner@example.com', firstName: 'Test', lastName: 'Runner', mfaId: null })
  const organization = user.ownedOrganizations[0]
  t.match(organization, { slug: 'test-runner', name: 'Test Runner', promoCode: null, groups: [] })
  t.same(
    organization?.environments.map(environment => environment.slug),
    ['production', 'development'],
  )
  t.match(user.memberships, [{ organizationSlug: 'test-runner', permissions: ['ADMIN'], groupIds: [] }])
  t.same(await run('findUser', { email: 'TEST-runner@example.com' }), user)
  t.same(await run('findOrganization', { slug: 'test-runner' }), organization)
  t.same(await run('findOrganization', { id: organization?.id }), organization)
  await rejectsWith(
    t,
    run('createUser', { email: 'Test-Runner@example.com', password: null }),
    'conflict',
    /already exists/,
  )
  const session = await accounts.signIn('test-runner@example.com', 'password', {
    address: '127.0.0.1',
    userAgent: null,
  })
  t.equal(session.user.id, user.id, 'can sign in')
})

t.test('membership, environments, teams, keys', async t => {
  const organization = await run<Organization>('createOrganization', {
    slug: 'acme',
    name: 'Acme',
    ownerEmail: 'owner@example.com',
    environments: [
      { slug: 'staging', name: 'Staging' },
      { slug: 'production', name: 'Live' },
    ],
    members: [],
  })
  t.same(
    organization.environments.map(({ slug, name }) => ({ slug, name })),
    [
      { slug: 'production', name: 'Live' },
      { slug: 'development', name: 'Development' },
      { slug: 'staging', name: 'Staging' },
    ],
  )
  const owner = await run<User>('findUser', { email: 'owner@example.com' })
  t.equal(organization.ownerId, owner.id)
  const member = await run<User>('createUser', {
    email: 'member@example.com',
    password: null,
    membership: { organizationId: organization.id, permissions: ['ACTION_RUNNER'] },
  })
  t.match(member.memberships, [{ organizationId: organization.id, permissions: ['ACTION_RUNNER'] }])

  const second = await run<Organization>('createOrganization', {
    slug: 'other',
    name: 'Other',
    ownerEmail: 'owner@example.com',
    environments: [],
    members: [{ userId: member.id, permissions: ['DEVELOPER'] }],
  })
  t.equal(second.ownerId, owner.id, 'the person with that address is used again')

  const environment = await run<{ id: string }>('createEnvironment', {
    organizationId: organization.id,
    slug: 'qa',
    name: 'QA',
  })
  t.match(environment, { slug: 'qa', name: 'QA' })
  await rejectsWith(
    t,
    run('createEnvironment', { organizationId: organization.id, slug: 'qa', name: 'QA' }),
    'conflict',
    /qa/,
  )
  const group = await run<{ id: string }>('createGroup', {
    organizationId: organization.id,
    slug: 'support',
    name: 'Support',
  })
  t.equal(
    await run('addGroupMember', { organizationId: organization.id, userId: member.id, groupId: group.id }),
    null,
  )
  t.same((await run<User>('findUser', { email: 'member@example.com' })).memberships[0]?.groupIds, [group.id])
  await rejectsWith(
    t,
    run('addGroupMember', { organizationId: second.id, userId: member.id, groupId: group.id }),
    'not-found',
    /does not belong/,
  )

  const place = { organizationId: organization.id, environmentId: environment.id, userId: member.id }
  const given = await run<Record<string, unknown>>('createApiKey', {
    ...place,
    key: 'e2c55f17-8a3c-4b2d-9d5a-5f0e4c7b2a11',
    kind: 'DEVELOPMENT',
    label: 'laptop',
  })
  t.notOk('key' in given, 'a given key is not repeated')
  const made = await run<{ key: string; id: string }>('createApiKey', { ...place, kind: 'PRODUCTION' })
  t.match(made.key, /^live_[A-Za-z0-9]{48}$/)
  t.match(await run('findApiKey', { ...place, key: made.key }), { id: made.id, kind: 'PRODUCTION' })
  t.equal(await run('findApiKey', { ...place, organizationId: second.id, key: made.key }), null)
  t.equal((await accounts.authenticateKey(made.key)).organization.slug, 'acme')
  t.equal((await accounts.authenticateKey('e2c55f17-8a3c-4b2d-9d5a-5f0e4c7b2a11')).kind, 'DEVELOPMENT')
  await rejectsWith(
    t,
    run('createApiKey', { ...place, organizationId: second.id, kind: 'PRODUCTION' }),
    'not-found',
    /does not belong/,
  )
  const stored = await database.query('select * from api_keys')
  t.notMatch(JSON.stringify(stored.rows), made.key.slice(12), 'keys are not stored')

  const revoked: string[] = []
  accounts.onRevoked(event => revoked.push(...event.keys))
  t.same(await run('deleteOrganization', { slug: 'acme' }), { deleted: 1 })
  t.same(await run('deleteOrganization', { slug: 'acme' }), { deleted: 0 })
  t.ok(revoked.includes(made.id), 'its keys are announced as revoked')
  await rejectsWith(t, accounts.authenticateKey(made.key), 'invalid-api-key', /Invalid API key/)
  t.equal(await run('findOrganization', { slug: 'acme' }), null)
})

t.test('invitations, confirmations, second factors', async t => {
  const origin = { address: '127.0.0.1', userAgent: null }
  const user = await run<User>('findUser', { email: 'test-runner@example.com' })
  const organizationId = user.ownedOrganizations[0]?.id ?? ''
  const group = await run<{ id: string }>('createGroup', { organizationId, slug: 'team', name: 'Team' })
  const invitation = await run<{ id: string }>('createInvitation', {
    organizationId,
    email: 'new@example.com',
    permissions: ['DEVELOPER'],
    groupIds: [group.id],
  })
  t.same(await run('findInvitation', { email: 'new@example.com' }), {
    id: invitation.id,
    email: 'new@example.com',
    permissions: ['DEVELOPER'],
    groupIds: [group.id],
  })
  t.same(await run('deleteInvitations', { organizationId }), { deleted: 1 })
  t.equal(await run('findInvitation', { email: 'new@example.com' }), null)

  t.equal(await run('latestEmailConfirmation', { email: 'fresh@example.com' }), null)
  const signedUp = await accounts.signUp(
    {
      email: 'fresh@example.com',
      firstName: 'Fresh',
      lastName: 'Person',
      password: 'correct horse',
      organizationName: 'Fresh',
    },
    { address: '127.0.0.1', userAgent: null },
  )
  const confirmation = await run<{ id: string; url: string }>('latestEmailConfirmation', {
    email: 'fresh@example.com',
  })
  t.match(confirmation.url, /^http:\/\/localhost:3000\/confirm-email\?seal=/)
  t.equal(await run('emailConfirmationUrl', { id: confirmation.id }), confirmation.url)
  t.equal(await run('emailConfirmationUrl', { id: 'nothing' }), null)
  const seal = new URL(confirmation.url).searchParams.get('seal') ?? ''
  clock.advance(1_000)
  t.equal(await run('expireEmailConfirmation', { id: confirmation.id }), null)
  t.equal(await accounts.confirmEmail(signedUp, seal, origin), 'expired')
  const renewed = await run<{ id: string; url: string }>('latestEmailConfirmation', {
    email: 'fresh@example.com',
  })
  t.not(renewed.id, confirmation.id, 'a new link was made at once')
  const newSeal = new URL(renewed.url).searchParams.get('seal') ?? ''
  await rejectsWith(
    t,
    accounts.confirmEmail({ ...signedUp, user: { ...signedUp.user, id: user.id as never } }, newSeal, origin),
    'not-found',
    /./,
  )
  await rejectsWith(t, accounts.confirmEmail(signedUp, `${newSeal.slice(0, -1)}~`, origin), 'not-found', /./)
  t.equal(await accounts.confirmEmail(signedUp, newSeal, origin), 'confirmed')

  const factor = await run<NewSecondFactor>('enrollMfa', { email: 'fresh@example.com' })
  t.equal((await run<User>('findUser', { email: 'fresh@example.com' })).mfaId, factor.id)
  t.match(factor, {
    secret: /^[A-Z2-7]{32}$/,
    url: /^otpauth:\/\/totp\/Interval:fresh%40example.com\?secret=/,
  })
  const half = await accounts.signIn('fresh@example.com', 'correct horse', origin)
  t.equal(half.secondFactorDue, true)
  const [code = ''] = factor.recoveryCodes
  t.equal((await accounts.enterSecondFactor(half.token, code, origin)).secondFactorDue, false)
  t.equal(await run('setUserMfa', { userId: signedUp.user.id, mfaId: 'elsewhere-1' }), null)
  const outside = await accounts.signIn('fresh@example.com', 'correct horse', origin)
  await rejectsWith(t, accounts.enterSecondFactor(outside.token, code, origin), 'bad-credentials')
  t.equal(await run('setUserMfa', { userId: signedUp.user.id, mfaId: null }), null)
  t.equal((await run<User>('findUser', { email: 'fresh@example.com' })).mfaId, null)
})

t.test('flags, promo codes, serverless hosts, queue', async t => {
  const user = await run<User>('findUser', { email: 'test-runner@example.com' })
  const organizationId = user.ownedOrganizations[0]?.id ?? ''
  t.equal(await run('upsertPromoCode', { code: 'WELCOME', organizationId }), null)
  t.equal(await run('upsertPromoCode', { code: 'WELCOME', organizationId }), null)
  t.equal(await run('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled: false }), null)
  t.equal(await accounts.signUpEnabled(), false)
  t.equal(await run('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled: true }), null)
  t.equal(await accounts.signUpEnabled(), true)
  t.equal(await run('setOrganizationFlag', { organizationId, flag: 'SOMETHING', enabled: true }), null)

  const url = 'http://localhost:3334/api'
  const host = await run<{ id: string }>('upsertHttpHost', { organizationId, url })
  t.match(host, { url, status: 'UNREACHABLE' })
  t.same(await run('checkHttpHost', { id: host.id }), { status: 'ONLINE' })
  t.same(checked?.url, url)
  t.equal(await run('removeHttpHost', { organizationId, url }), null)
  t.equal(await run('checkHttpHost', { id: host.id }), null)
  t.match(await run('upsertHttpHost', { organizationId, url }), { id: host.id, status: 'ONLINE' })
  await rejectsWith(
    t,
    run('upsertHttpHost', { organizationId, url: 'file:///etc/passwd' }),
    'invalid-value',
    /url/,
  )

  await database.query(
    `insert into queued_actions (id, organization_id, environment_id, action_slug)
     select 'queued', organization_id, id, 'greet' from environments where organization_id = $1 and slug = 'production'`,
    [organizationId],
  )
  t.same(await run('deleteQueuedActions', { organizationId, actionSlug: 'greet' }), { deleted: 3 })
})

t.test('wrong names and arguments are told', async t => {
  await rejectsWith(t, run('dropEverything', {}), 'not-found', /no operation "dropEverything"/)
  await rejectsWith(t, run('toString', {}), 'not-found', /no operation/)
  await rejectsWith(t, run('createUser', { email: 'nobody', password: null }), 'invalid-value', /email: /)
  await rejectsWith(t, run('findUser', null), 'invalid-value', /findUser/)
  await rejectsWith(t, run('findOrganization', {}), 'invalid-value', /id or a slug/)
  await rejectsWith(
    t,
    run('createEnvironment', { organizationId: 'x', slug: 'a+b', name: 'A' }),
    'invalid-value',
    /slug/,
  )
})

t.test('deleting people', async t => {
  const user = await run<User>('findUser', { email: 'test-runner@example.com' })
  const result = await run('deleteUsers', {
    ids: [user.id],
    emails: ['fresh@example.com', 'nobody@example.com'],
  })
  t.same(result, { deleted: 2 })
  t.equal(await run('findUser', { email: 'test-runner@example.com' }), null)
  t.equal(await run('findOrganization', { slug: 'test-runner' }), null, 'with what was theirs alone')
  t.ok(await run('findOrganization', { slug: 'other' }), 'the rest stays')
})
