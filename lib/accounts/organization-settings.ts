/**
 * An organization itself: its name and address, what it asks of its members, who owns it, and its end.
 *
 * Invariant: only the owner gives it away or ends it, and who owns it administers it. A deleted organization is kept for
 * its history, but nobody is in it any more: its keys, schedules, invitations and serverless hosts end with it.
 */
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import type { EnvironmentId, OrganizationId, UserId } from '../ids.js'
import { closeDirectory } from './directories.js'
import { endEnvironments } from './environments.js'
import type { Asker, Guard } from './guard.js'
import { isGrantable } from './permissions.js'
import { endSingleSignOn } from './single-sign-on.js'

export interface OrganizationSettings {
  readonly id: OrganizationId
  readonly slug: string
  readonly name: string
  readonly requireSecondFactor: boolean
  /** Null when the owner's account is gone: then an administrator may name one. */
  readonly owner: { readonly id: UserId; readonly email: string } | null
  readonly isOwner: boolean
  /** Others that the person owns: somebody who owns none has to repeat the slug to delete this one. */
  readonly ownsOthers: boolean
}

export interface OrganizationSettingsAccounts {
  /** Rejects with `forbidden`. */
  settings(by: Asker): Promise<OrganizationSettings>
  /**
   * Rejects with `forbidden`, `invalid-value`, or `conflict` for a slug that is taken, and for who asks for a second
   * factor without one of their own.
   */
  changeSettings(
    by: Asker,
    wanted: {
      name?: string | undefined
      slug?: string | undefined
      requireSecondFactor?: boolean | undefined
    },
  ): Promise<void>
  /** True when no other organization has the slug. Rejects with `forbidden`. */
  isSlugFree(by: Asker, slug: string): Promise<boolean>
  /** Makes a member the owner, and an administrator. Rejects with `forbidden` or `not-found`. */
  transferOwnership(by: Asker, memberId: string): Promise<void>
  /**
   * Ends it. Returns the serverless hosts that nobody is to ask any more. Rejects with `forbidden`, or `invalid-value`
   * when neither the slug is repeated nor the owner has another organization.
   */
  closeOrganization(by: Asker, repeatedSlug: string | undefined): Promise<{ httpHosts: string[] }>
}

const nameCharactersMax = 100

/** `reserved`: a slug that nobody takes by changing theirs. */
export function createOrganizationSettings(
  guard: Guard,
  reserved: string | null,
): OrganizationSettingsAccounts {
  const { database, identities } = guard
  const isTaken = (cause?: unknown): AppError => {
    const message = 'Another organization has this address.'
    return new AppError('conflict', message, { cause, fields: { slug: message } })
  }

  return {
    async settings(by) {
      const actor = await guard.member(by, 'READ_ORG_SETTINGS', 'read the settings')
      const { rows } = await database.query<{
        id: OrganizationId
        slug: string
        name: string
        require_second_factor: boolean
        owner: { id: UserId; email: string } | null
        owns_others: boolean
      }>(
        `select organizations.id, slug, name, require_second_factor,
           case when people.id is null then null else jsonb_build_object('id', people.id, 'email', email) end as owner,
           exists (select from organizations others where others.owner_id = $2 and others.id <> organizations.id
             and others.deleted_at is null) as owns_others
         from organizations left join people on people.id = owner_id where organizations.id = $1`,
        [actor.organization.id, by.userId],
      )
      const row = rows[0]
      if (!row) throw new AppError('not-found')
      return {
        id: row.id,
        slug: row.slug,
        name: row.name,
        requireSecondFactor: row.require_second_factor,
        owner: row.owner,
        isOwner: row.owner?.id === by.userId,
        ownsOthers: row.owns_others,
      }
    },

    async changeSettings(by, { name: text, slug, requireSecondFactor }) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'change the settings')
      const name = text?.trim().slice(0, nameCharactersMax)
      if (name === '') {
        const message = 'Give the organization a name.'
        throw new AppError('invalid-value', message, { fields: { name: message } })
      }
      if (requireSecondFactor === true && !(await hasSecondFactor(database, by.userId))) {
        const message = 'Set up a second factor of your own first.'
        throw new AppError('conflict', message, { fields: { requireSecondFactor: message } })
      }
      if (slug === reserved && slug !== actor.organization.slug) throw isTaken()
      try {
        await database.query(
          `update organizations set name = coalesce($2, name), slug = coalesce($3, slug),
             require_second_factor = coalesce($4, require_second_factor), updated_at = now() where id = $1`,
          [actor.organization.id, name ?? null, slug ?? null, requireSecondFactor ?? null],
        )
      } catch (error) {
        throw violatedConstraint(error) === null ? error : isTaken(error)
      }
      guard.rightsChanged(by, actor, 'organization.changed', {
        ...(name !== undefined && { name }),
        ...(slug !== undefined && { slug }),
        ...(requireSecondFactor !== undefined && { requireSecondFactor }),
      })
    },

    async isSlugFree(by, slug) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'check a slug')
      const { rows } = await database.query(
        'select from organizations where slug = $1 and id <> $2 and deleted_at is null',
        [slug, actor.organization.id],
      )
      return rows.length === 0 && (slug !== reserved || slug === actor.organization.slug)
    },

    async transferOwnership(by, memberId) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'give the organization away')
      const organizationId = actor.organization.id
      await database.transaction(async client => {
        const owner = await lockOwner(client, organizationId)
        if (owner !== null && owner !== by.userId) {
          throw guard.denied(by, actor, 'give the organization away', 'Only its owner may do this.')
        }
        // Where nobody owns it, whoever administers it may; nobody gives what they do not hold.
        if (!isGrantable(actor, ['ADMIN'])) throw guard.denied(by, actor, 'give the organization away')
        const { rowCount } = await client.query(
          `update memberships set updated_at = now(),
             permissions = case when 'ADMIN' = any(permissions) then permissions else '{ADMIN}' end
           where organization_id = $1 and person_id = $2`,
          [organizationId, memberId],
        )
        if (rowCount !== 1) throw new AppError('not-found', 'There is no such member.')
        await client.query('update organizations set owner_id = $2, updated_at = now() where id = $1', [
          organizationId,
          memberId,
        ])
      })
      guard.rightsChanged(by, actor, 'organization.transferred', { member: memberId })
    },

    async closeOrganization(by, repeatedSlug) {
      const actor = await guard.member(by, 'READ_ORG_SETTINGS', 'delete the organization')
      const organizationId = actor.organization.id
      const ended = await database.transaction(async client => {
        if ((await lockOwner(client, organizationId)) !== by.userId) {
          throw guard.denied(by, actor, 'delete the organization', 'Only its owner may do this.')
        }
        const { rows } = await client.query<{ slug: string; is_last: boolean }>(
          `update organizations set deleted_at = now(), updated_at = now() where id = $1
           returning slug, not exists (select from organizations others where others.owner_id = $2
             and others.id <> $1 and others.deleted_at is null) as is_last`,
          [organizationId, by.userId],
        )
        const row = rows[0]
        const isMeant = repeatedSlug === undefined ? row?.is_last === false : repeatedSlug === row?.slug
        if (!isMeant) {
          const message = 'Type the address of the organization to delete it.'
          throw new AppError('invalid-value', message, { fields: { slug: message } })
        }
        return endOrganization(client, organizationId)
      })
      guard.rightsChanged(by, actor, 'organization.deleted', { slug: actor.organization.slug })
      identities.announce({ keys: ended.keys })
      return { httpHosts: ended.httpHosts }
    },
  }
}

/** Whoever asks others for one would be the first to be shut out. */
async function hasSecondFactor(client: Queryable, personId: UserId): Promise<boolean> {
  const { rows } = await client.query('select from second_factors where person_id = $1', [personId])
  return rows.length > 0
}

/** Held until the transaction ends: of two who give it away at once, one is no owner any more. */
async function lockOwner(client: Queryable, organizationId: OrganizationId): Promise<string | null> {
  const { rows } = await client.query<{ owner_id: string | null }>(
    'select owner_id from organizations where id = $1 and deleted_at is null for update',
    [organizationId],
  )
  if (!rows[0]) throw new AppError('not-found')
  return rows[0].owner_id
}

/** Ends what goes on by itself in an organization that is deleted. */
async function endOrganization(
  client: Queryable,
  organizationId: OrganizationId,
): Promise<{ keys: string[]; httpHosts: string[] }> {
  const { rows: environments } = await client.query<{ id: EnvironmentId }>(
    'select id from environments where organization_id = $1',
    [organizationId],
  )
  const keys = await endEnvironments(
    client,
    environments.map(({ id }) => id),
  )
  await client.query('delete from invitations where organization_id = $1', [organizationId])
  await closeDirectory(client, organizationId)
  await endSingleSignOn(client, organizationId)
  await client.query('delete from slack_connections where organization_id = $1', [organizationId])
  await client.query('delete from slack_requests where organization_id = $1', [organizationId])
  const { rows: httpHosts } = await client.query<{ id: string }>(
    'update http_hosts set removed_at = now() where organization_id = $1 and removed_at is null returning id',
    [organizationId],
  )
  return { keys, httpHosts: httpHosts.map(({ id }) => id) }
}
