/**
 * Two organizations on one server, for tests of who may do what: `ours` with a member of each role, a team, a further
 * environment, an action in a page, and `theirs` with a stranger who administers it.
 */
import type { AccountsService } from '../../../lib/accounts/index.js'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { Database } from '../../../lib/database/index.js'
import type { EnvironmentId, OrganizationId } from '../../../lib/ids.js'
import { type ManualClock, testAccounts } from '../../support/database.js'
import { type Answer, type Ask, testServer } from './test-server.js'

export interface Member {
  readonly id: string
  readonly email: string
  readonly cookie: string
}

export interface Call {
  readonly method: string
  /** Below `/api/v1/organizations/`. */
  readonly path: string
  readonly body?: unknown
}

export interface TwoOrganizations {
  readonly accounts: AccountsService
  readonly database: Database
  readonly clock: ManualClock
  readonly ask: Ask
  readonly organizationId: OrganizationId
  readonly environmentIds: Readonly<Record<string, EnvironmentId>>
  readonly owner: Member
  readonly administrator: Member
  readonly developer: Member
  readonly runner: Member
  readonly stranger: Member
  admin<Result>(operation: string, argument: unknown): Promise<Result>
  member(email: string, permissions: readonly string[] | null): Promise<Member>
  /** Asks in somebody's name, as their browser does. */
  call(who: Member | null, call: Call): Promise<Answer>
  /** Rows of the audit log of one name, once they are written, oldest first. */
  audited(name: string): Promise<{ person_id: string | null; details: Record<string, unknown> }[]>
}

const password = 'a good password'

export async function twoOrganizations(t: {
  teardown(work: () => unknown): unknown
}): Promise<TwoOrganizations> {
  const { accounts, database, clock } = await testAccounts(t)
  const { ask, origin } = await testServer(t, accounts)
  const admin = async <Result>(operation: string, argument: unknown): Promise<Result> =>
    (await runAdminOperation(operation, argument, { accounts })) as Result
  const ours = await admin<{ id: OrganizationId; environments: { id: EnvironmentId; slug: string }[] }>(
    'createOrganization',
    {
      slug: 'ours',
      name: 'Ours',
      ownerEmail: 'owner@example.com',
      environments: [{ slug: 'staging', name: 'Staging' }],
    },
  )
  await admin('createOrganization', { slug: 'theirs', name: 'Theirs', ownerEmail: 'stranger@example.com' })
  const hash = await accounts.passwords.hash(password)

  const member = async (email: string, permissions: readonly string[] | null): Promise<Member> => {
    if (permissions) {
      const membership = { organizationId: ours.id, permissions }
      await admin('createUser', { email, password, membership })
    } else await database.query('update people set password = $2 where email = $1', [email, hash])
    const answer = await ask('POST', '/api/v1/session', { body: { email, password } })
    const { id } = answer.body.user as { id: string }
    return { id, email, cookie: answer.cookie ?? '' }
  }
  return {
    accounts,
    database,
    clock,
    ask,
    organizationId: ours.id,
    environmentIds: Object.fromEntries(ours.environments.map(({ slug, id }) => [slug, id])),
    owner: await member('owner@example.com', null),
    administrator: await member('admin@example.com', ['ADMIN']),
    developer: await member('developer@example.com', ['DEVELOPER']),
    runner: await member('runner@example.com', ['ACTION_RUNNER']),
    stranger: await member('stranger@example.com', null),
    admin,
    member,
    call: (who, { method, path, body }) =>
      ask(method, `/api/v1/organizations/${path}`, {
        headers: { origin },
        ...(who && { cookie: who.cookie }),
        ...(body !== undefined && { body }),
      }),
    async audited(name) {
      await accounts.audits.flush()
      const { rows } = await database.query<{ person_id: string | null; details: Record<string, unknown> }>(
        'select person_id, details from audit_log where name = $1 order by at, id',
        [name],
      )
      return rows
    },
  }
}
