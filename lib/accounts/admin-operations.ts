/**
 * What an operator does with one command and one JSON argument: seeding, scripts, continuous integration.
 *
 * Nothing here asks who is asking: these operations are reached only over a socket that only the operator can open,
 * or on the database itself. Something missing is null, not a failure; a malformed argument is `invalid-value` and
 * names its fields.
 */
import { z } from 'zod'
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId, UserId } from '../ids.js'
import type { AccountsService } from './accounts.js'
import { connectWorkOs, domainArgument, verifyDomain, workOsArgument } from './admin-single-sign-on.js'
import { findKey, generateKey, insertKey, keyCharactersMax } from './api-keys.js'
import {
  confirmationExists,
  confirmationUrl,
  expireConfirmation,
  latestConfirmation,
} from './email-confirmations.js'
import { insertEnvironment, listEnvironments } from './environments.js'
import { setGlobalFlag, setOrganizationFlag } from './flags.js'
import {
  findHttpHost,
  type HttpHostInfo,
  type HttpHostStatus,
  removeHttpHost,
  setHttpHostStatus,
  upsertHttpHost,
} from './http-hosts.js'
import { deleteInvitations, insertInvitation, invitationByEmail, mailedToken } from './invitations.js'
import { insertMembership, membershipsOf } from './memberships.js'
import {
  deleteOrganization,
  findOrganization,
  insertOrganization,
  type OrganizationRow,
  organizationsOwnedBy,
} from './organizations.js'
import {
  checkEmail,
  deletePeople,
  fullName,
  insertPerson,
  type PersonRow,
  personByEmail,
  personById,
  personOf,
  setSecondFactor,
} from './people.js'
import { deleteQueuedActions } from './queue.js'
import { demandSecondFactor } from './sessions.js'
import { slugShape } from './slugs.js'
import { addTeamMember, insertTeam, listTeams } from './teams.js'

export interface AdminDependencies {
  readonly accounts: AccountsService
  /** Asks a serverless host from now on. Without it the next node that starts does. */
  readonly registerHttpHost?: ((host: HttpHostInfo) => Promise<void>) | undefined
  /** Contacts a serverless host now. Without it (no node runs) the host counts as unreachable. */
  readonly checkHttpHost?: ((host: HttpHostInfo) => Promise<HttpHostStatus>) | undefined
  /** Asks nothing of a serverless host any more. Without it the next node that runs finds that it is removed. */
  readonly removeHttpHost?: ((id: string) => Promise<void>) | undefined
  /** Deletes what the partitions hold of a queue; returns how many. The database's part is done here. */
  readonly deleteQueuedActions?:
    | ((organizationId: OrganizationId, actionSlug: string) => Promise<number>)
    | undefined
}

const id = z.string().min(1).max(200)
const email = z.string().transform((text, context) => {
  try {
    return checkEmail(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'not valid' })
    return z.NEVER
  }
})
const lookupEmail = z.string().max(500)
const name = z.string().max(200).nullish()
const permissions = z.array(z.string().min(1).max(100)).max(50)
const kind = z.enum(['DEVELOPMENT', 'PRODUCTION'])
const httpUrl = z.url({ protocol: /^https?$/ }).max(2_000)
const byIdOrSlug = z
  .object({ id: id.optional(), slug: z.string().optional() })
  .refine(by => by.id !== undefined || by.slug !== undefined, 'give an id or a slug')

interface Context extends AdminDependencies {
  readonly database: AccountsService['database']
  readonly nowMs: number
}

interface Operation<Argument> {
  readonly argument: z.ZodType<Argument>
  run(argument: Argument, context: Context): Promise<unknown>
}

function operation<Argument>(
  argument: z.ZodType<Argument>,
  run: Operation<Argument>['run'],
): Operation<Argument> {
  return { argument, run }
}

const operations = {
  findUser: operation(z.object({ email: lookupEmail }), async (argument, { database }) => {
    const person = await personByEmail(database, argument.email)
    return person && describeUser(database, person)
  }),

  createUser: operation(
    z.object({
      email,
      firstName: name,
      lastName: name,
      password: z.string().min(1).max(1_000).nullish(),
      createOrganization: z.boolean().optional(),
      membership: z.object({ organizationId: id, permissions }).optional(),
    }),
    async (argument, { accounts, database, nowMs }) => {
      const passwordHash = argument.password ? await accounts.passwords.hash(argument.password) : null
      const person = await database.transaction(async client => {
        const created = await insertPerson(client, {
          email: argument.email,
          firstName: argument.firstName,
          lastName: argument.lastName,
          passwordHash,
          confirmedAt: new Date(nowMs),
        })
        if (argument.createOrganization) {
          await insertOrganization(client, { name: fullName(personOf(created)), ownerId: created.id })
        }
        if (argument.membership) {
          await insertMembership(client, {
            organizationId: argument.membership.organizationId as OrganizationId,
            personId: created.id,
            permissions: argument.membership.permissions,
          })
        }
        return created
      })
      return describeUser(database, person)
    },
  ),

  deleteUsers: operation(
    z.object({
      ids: z.array(id).max(10_000).default([]),
      emails: z.array(lookupEmail).max(10_000).default([]),
    }),
    async (argument, { accounts, database }) => {
      const deleted = await database.transaction(client => deletePeople(client, argument))
      accounts.identities.announce(deleted)
      accounts.identities.forgetRights()
      return { deleted: deleted.people.length }
    },
  ),

  enrollMfa: operation(
    z.object({ userId: id.optional(), email: lookupEmail.optional() }),
    async (argument, { accounts, database }) => {
      const person =
        argument.userId !== undefined
          ? await personById(database, argument.userId)
          : await personByEmail(database, argument.email ?? '')
      if (!person) throw new AppError('not-found', 'There is no such person.')
      const { factor, sessions } = await database.transaction(async client => ({
        factor: await accounts.secondFactors.enroll(client, person),
        sessions: await demandSecondFactor(client, person.id, null, accounts.clock.nowMs()),
      }))
      accounts.identities.announce({ sessions })
      accounts.identities.forgetRights()
      return factor
    },
  ),

  setUserMfa: operation(
    z.object({ userId: id, mfaId: id.nullable() }),
    async (argument, { accounts, database }) => {
      const { mfaId, userId } = argument
      if (!(await personById(database, userId))) throw new AppError('not-found', 'There is no such person.')
      const sessions = await database.transaction(async client => {
        await setSecondFactor(client, userId, mfaId)
        return mfaId === null ? [] : demandSecondFactor(client, userId, null, accounts.clock.nowMs())
      })
      accounts.identities.announce({ sessions })
      accounts.identities.forgetRights()
      return null
    },
  ),

  findOrganization: operation(byIdOrSlug, async (argument, { database }) => {
    const organization = await findOrganization(database, argument)
    return organization && describeOrganization(database, organization)
  }),

  createOrganization: operation(
    z.object({
      slug: slugShape,
      name: z.string().min(1).max(100),
      ownerEmail: email,
      environments: z
        .array(z.object({ slug: slugShape, name: z.string().min(1).max(100) }))
        .max(100)
        .default([]),
      members: z
        .array(z.object({ userId: id, permissions }))
        .max(1_000)
        .default([]),
    }),
    async (argument, { accounts, database, nowMs }) => {
      const organization = await database.transaction(async client => {
        const owner =
          (await personByEmail(client, argument.ownerEmail)) ??
          (await insertPerson(client, {
            email: argument.ownerEmail,
            passwordHash: null,
            confirmedAt: new Date(nowMs),
          }))
        const created = await insertOrganization(client, { ...argument, ownerId: owner.id })
        for (const member of argument.members) {
          await insertMembership(client, {
            organizationId: created.id,
            personId: member.userId as UserId,
            permissions: member.permissions,
          })
        }
        return created
      })
      accounts.identities.forgetRights()
      return { ...(await describeOrganization(database, organization)), ownerId: organization.owner_id }
    },
  ),

  deleteOrganization: operation(byIdOrSlug, async (argument, { accounts, database }) => {
    const keys = await database.transaction(async client => {
      const organization = await findOrganization(client, argument)
      return organization && deleteOrganization(client, organization.id)
    })
    accounts.identities.announce({ keys: keys ?? [] })
    accounts.identities.forgetRights()
    return { deleted: keys === null ? 0 : 1 }
  }),

  createEnvironment: operation(
    z.object({ organizationId: id, slug: slugShape, name: z.string().min(1).max(100) }),
    async (argument, { accounts, database }) => {
      const environment = await insertEnvironment(database, {
        ...argument,
        organizationId: argument.organizationId as OrganizationId,
      })
      accounts.identities.forgetRights()
      return { id: environment.id, slug: environment.slug, name: environment.name }
    },
  ),

  createGroup: operation(
    z.object({ organizationId: id, slug: slugShape, name: z.string().min(1).max(100) }),
    (argument, { database }) => insertTeam(database, argument),
  ),

  addGroupMember: operation(
    z.object({ organizationId: id, userId: id, groupId: id }),
    async (argument, { accounts, database }) => {
      await addTeamMember(database, {
        organizationId: argument.organizationId,
        teamId: argument.groupId,
        personId: argument.userId,
      })
      accounts.identities.forgetRights()
      return null
    },
  ),

  findApiKey: operation(
    z.object({
      key: z.string().min(1).max(keyCharactersMax),
      organizationId: id,
      userId: id,
      environmentId: id.nullish(),
    }),
    (argument, { database }) =>
      findKey(database, {
        text: argument.key,
        organizationId: argument.organizationId,
        personId: argument.userId,
        environmentId: argument.environmentId ?? undefined,
      }),
  ),

  createApiKey: operation(
    z.object({
      key: z.string().min(8).max(keyCharactersMax).optional(),
      kind,
      organizationId: id,
      environmentId: id,
      userId: id,
      label: z.string().max(100).nullish(),
    }),
    async (argument, { accounts, database }) => {
      const text = argument.key ?? generateKey(argument.kind)
      const key = await insertKey(database, { ...argument, text, personId: argument.userId })
      accounts.identities.forgetRights()
      return argument.key === undefined ? { ...key, key: text } : key
    },
  ),

  createInvitation: operation(
    z.object({ organizationId: id, email, permissions, groupIds: z.array(id).max(1_000).default([]) }),
    async (argument, { accounts, database, nowMs }) => {
      const made = await insertInvitation(database, { ...argument, teamIds: argument.groupIds, nowMs })
      // An operator's word is as good as a mail.
      return { ...made, id: mailedToken(accounts.links, made.id) }
    },
  ),

  findInvitation: operation(z.object({ email: lookupEmail }), async (argument, { accounts, database }) => {
    const found = await invitationByEmail(database, argument.email)
    if (!found) return null
    const { id, email, permissions, groupIds } = found
    return { id: mailedToken(accounts.links, id), email, permissions, groupIds }
  }),

  deleteInvitations: operation(z.object({ organizationId: id }), async (argument, { database }) => ({
    deleted: await deleteInvitations(database, argument.organizationId),
  })),

  latestEmailConfirmation: operation(z.object({ email: lookupEmail }), (argument, { accounts, database }) =>
    latestConfirmation(database, accounts.links, argument.email),
  ),

  emailConfirmationUrl: operation(z.object({ id }), async (argument, { accounts, database }) =>
    (await confirmationExists(database, argument.id)) ? confirmationUrl(accounts.links, argument.id) : null,
  ),

  expireEmailConfirmation: operation(z.object({ id }), async (argument, { database, nowMs }) => {
    await expireConfirmation(database, argument.id, nowMs)
    return null
  }),

  upsertPromoCode: operation(
    z.object({ code: z.string().min(1).max(100), organizationId: id }),
    async (argument, { database }) => {
      await database.query(
        `insert into promo_codes (code, organization_id) values ($1, $2)
         on conflict (code) do update set organization_id = excluded.organization_id`,
        [argument.code, argument.organizationId],
      )
      return null
    },
  ),

  setGlobalFlag: operation(
    z.object({ flag: z.string().min(1).max(100), enabled: z.boolean() }),
    async (argument, { database }) => {
      await setGlobalFlag(database, argument.flag, argument.enabled)
      return null
    },
  ),

  setOrganizationFlag: operation(
    z.object({ organizationId: id, flag: z.string().min(1).max(100), enabled: z.boolean() }),
    async (argument, { accounts, database }) => {
      await setOrganizationFlag(database, argument.organizationId, argument.flag, argument.enabled)
      accounts.identities.forgetRights()
      return null
    },
  ),

  upsertHttpHost: operation(z.object({ organizationId: id, url: httpUrl }), async (argument, context) => {
    const host = await upsertHttpHost(context.database, argument.organizationId, argument.url)
    await context.registerHttpHost?.(host)
    return { id: host.id, url: host.url, status: host.status }
  }),

  checkHttpHost: operation(z.object({ id }), async (argument, context) => {
    const host = await findHttpHost(context.database, argument.id)
    if (!host) return null
    const status = (await context.checkHttpHost?.(host)) ?? 'UNREACHABLE'
    await setHttpHostStatus(context.database, host.id, status)
    return { status }
  }),

  removeHttpHost: operation(
    z.object({ organizationId: id, url: z.string().max(2_000) }),
    async (argument, context) => {
      const { organizationId, url } = argument
      for (const removed of await removeHttpHost(context.database, organizationId, { url }))
        await context.removeHttpHost?.(removed)
      return null
    },
  ),

  verifyEmailDomain: operation(domainArgument, (argument, { database }) =>
    database.transaction(client => verifyDomain(client, argument)),
  ),

  connectWorkOs: operation(workOsArgument, (argument, { database }) => connectWorkOs(database, argument)),

  deleteQueuedActions: operation(
    z.object({ organizationId: id, actionSlug: z.string().min(1).max(1_000) }),
    async (argument, context) => {
      const live = await context.deleteQueuedActions?.(
        argument.organizationId as OrganizationId,
        argument.actionSlug,
      )
      const stored = await deleteQueuedActions(context.database, argument.organizationId, argument.actionSlug)
      return { deleted: stored + (live ?? 0) }
    },
  ),
} as const

export type AdminOperationName = keyof typeof operations

/** Names of all operations, for help texts. */
export const adminOperationNames = Object.keys(operations) as readonly AdminOperationName[]

/**
 * Runs one operation. Rejects with `not-found` when there is no operation of that name, `invalid-value` when the
 * argument is wrong, and what the operation itself says.
 */
export async function runAdminOperation(
  name: string,
  argument: unknown,
  dependencies: AdminDependencies,
): Promise<unknown> {
  if (!Object.hasOwn(operations, name)) {
    throw new AppError(
      'not-found',
      `There is no operation "${name}". There are: ${adminOperationNames.join(', ')}.`,
    )
  }
  const found = operations[name as AdminOperationName] as Operation<unknown>
  const parsed = found.argument.safeParse(argument)
  if (!parsed.success) throw invalidArgument(name, parsed.error)
  const { accounts } = dependencies
  const result = await found.run(parsed.data, {
    ...dependencies,
    database: accounts.database,
    nowMs: accounts.clock.nowMs(),
  })
  if (!/^(find|latest|emailConfirmationUrl)/.test(name)) {
    accounts.audit({ name: 'admin.operation', details: { operation: name } })
  }
  return result
}

function invalidArgument(name: string, error: z.ZodError): AppError {
  const fields: Record<string, string> = {}
  for (const issue of error.issues) fields[issue.path.join('.') || 'argument'] = issue.message
  const words = Object.entries(fields).map(([path, message]) => `${path}: ${message}`)
  return new AppError('invalid-value', `${name}: ${words.join('; ')}`, { fields })
}

async function describeOrganization(client: Queryable, organization: OrganizationRow): Promise<object> {
  const environments = await listEnvironments(client, organization.id)
  return {
    id: organization.id,
    slug: organization.slug,
    name: organization.name,
    promoCode: organization.promo_code,
    environments: environments.map(({ id, slug, name }) => ({ id, slug, name })),
    groups: await listTeams(client, organization.id),
  }
}

async function describeUser(client: Queryable, person: PersonRow): Promise<object> {
  const ownedOrganizations: object[] = []
  for (const organization of await organizationsOwnedBy(client, person.id)) {
    ownedOrganizations.push(await describeOrganization(client, organization))
  }
  return {
    ...personOf(person),
    mfaId: person.second_factor_id,
    ownedOrganizations,
    memberships: await membershipsOf(client, person.id),
  }
}
