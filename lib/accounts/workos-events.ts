/**
 * Directory sync of WorkOS: its events, carried out like what a directory says by SCIM.
 *
 * Invariant: each event counts once; it is noted in the transaction that carries it out, so that one that failed is taken
 * when it is sent again. Which organization at WorkOS stands for which one here is an operator's word alone.
 */
import { z } from 'zod'
import type { Database, Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type OrganizationId } from '../ids.js'
import type { AuditEvent } from './contract.js'
import {
  closeDirectory,
  type Directory,
  type DirectoryAccounts,
  type DirectoryChange,
} from './directories.js'
import {
  addDirectoryGroup,
  addGroupMembers,
  deleteDirectoryGroup,
  listDirectoryGroups,
  removeGroupMembers,
  renameDirectoryGroup,
} from './directory-groups.js'
import {
  addDirectoryUser,
  changeDirectoryUser,
  deleteDirectoryUser,
  listDirectoryUsers,
  type WantedDirectoryUser,
} from './directory-people.js'

const keptDays = 7

const id = z.string().min(1).max(200)
const text = z.string().max(1_000).nullish()

const userShape = z.object({
  id,
  email: text,
  emails: z
    .array(z.object({ primary: z.boolean().nullish(), value: text }))
    .max(100)
    .nullish(),
  username: text,
  first_name: text,
  last_name: text,
  state: text,
})
const groupShape = z.object({ id, name: z.string().min(1).max(1_000) })
const inDirectory = { directory_id: id }

const eventShape = z.discriminatedUnion('event', [
  z.object({
    id,
    event: z.literal('dsync.activated'),
    data: z.object({ id, organization_id: id.nullish() }),
  }),
  z.object({ id, event: z.literal('dsync.deleted'), data: z.object({ id }) }),
  z.object({ id, event: z.literal('dsync.user.created'), data: userShape.extend(inDirectory) }),
  z.object({ id, event: z.literal('dsync.user.updated'), data: userShape.extend(inDirectory) }),
  z.object({ id, event: z.literal('dsync.user.deleted'), data: z.object({ id, ...inDirectory }) }),
  z.object({ id, event: z.literal('dsync.group.created'), data: groupShape.extend(inDirectory) }),
  z.object({ id, event: z.literal('dsync.group.updated'), data: groupShape.extend(inDirectory) }),
  z.object({ id, event: z.literal('dsync.group.deleted'), data: z.object({ id, ...inDirectory }) }),
  z.object({
    id,
    event: z.literal('dsync.group.user_added'),
    data: z.object({ ...inDirectory, user: userShape, group: groupShape }),
  }),
  z.object({
    id,
    event: z.literal('dsync.group.user_removed'),
    data: z.object({ ...inDirectory, user: z.object({ id }), group: z.object({ id }) }),
  }),
])
type WorkOsEvent = z.infer<typeof eventShape>

/** `taken`, or why nothing was done. */
export type EventOutcome = 'taken' | 'taken before' | 'of no concern'

export interface WorkOsEvents {
  /**
   * Carries an event out whose signature was checked. Rejects when it should be sent again; with `bad-request` when it is
   * one that we know and it is malformed.
   */
  takeWorkOsEvent(event: unknown): Promise<EventOutcome>
}

export function createWorkOsEvents(options: {
  readonly database: Database
  readonly directories: Pick<DirectoryAccounts, 'changeDirectory'>
  audit(event: AuditEvent): void
}): WorkOsEvents {
  const { database, directories } = options

  return {
    async takeWorkOsEvent(value) {
      const known = z.object({ event: z.string() }).safeParse(value)
      if (!known.success) throw new AppError('bad-request', 'This is no event.')
      const parsed = eventShape.safeParse(value)
      if (!parsed.success) {
        if (!known.data.event.startsWith('dsync.')) return 'of no concern'
        throw new AppError('bad-request', `The event ${known.data.event.slice(0, 60)} is malformed.`)
      }
      const event = parsed.data
      if (event.event === 'dsync.activated' || event.event === 'dsync.deleted') {
        const { organizationId, outcome } = await database.transaction(client => takeLife(client, event))
        if (organizationId !== null) {
          const name = event.event === 'dsync.deleted' ? 'directory.closed' : 'directory.opened'
          options.audit({ name, organizationId, details: { way: 'WorkOS', event: event.id } })
        }
        return outcome
      }
      const directory = await directoryOf(database, event.data.directory_id)
      if (directory === null) return 'of no concern'
      try {
        return await directories.changeDirectory(directory, null, async change => {
          if (!(await note(change.client, event.id))) return 'taken before'
          await take(change, event)
          return 'taken'
        })
      } catch (error) {
        // What cannot be done will not be possible the next time either: an address of others, the owner.
        if (
          !(error instanceof AppError) ||
          !['conflict', 'invalid-value', 'not-found'].includes(error.code)
        ) {
          throw error
        }
        options.audit({
          name: 'directory.event-refused',
          organizationId: directory.organizationId,
          details: { event: event.id, kind: event.event, reason: error.message },
        })
        return 'of no concern'
      }
    },
  }
}

/** A directory comes, for an organization that an operator has connected, or goes. */
async function takeLife(
  client: Queryable,
  { id: eventId, event, data }: Extract<WorkOsEvent, { event: 'dsync.activated' | 'dsync.deleted' }>,
): Promise<{ readonly outcome: EventOutcome; readonly organizationId: OrganizationId | null }> {
  if (!(await note(client, eventId))) return { outcome: 'taken before', organizationId: null }
  if (event === 'dsync.deleted') {
    const directory = await directoryOf(client, data.id)
    if (directory === null) return { outcome: 'of no concern', organizationId: null }
    await closeDirectory(client, directory.organizationId)
    return { outcome: 'taken', organizationId: directory.organizationId }
  }
  const { rows } = await client.query<{ organization_id: OrganizationId }>(
    `insert into directories (id, organization_id, kind, workos_directory_id, permissions)
     select $1, organization_id, 'WORKOS', $2, permissions from single_sign_on where workos_organization_id = $3
     on conflict do nothing returning organization_id`,
    [newId(), data.id, data.organization_id ?? null],
  )
  const organizationId = rows[0]?.organization_id ?? null
  return { outcome: organizationId === null ? 'of no concern' : 'taken', organizationId }
}

async function take(
  change: DirectoryChange,
  event: Exclude<WorkOsEvent, { event: 'dsync.activated' | 'dsync.deleted' }>,
): Promise<void> {
  switch (event.event) {
    case 'dsync.user.created':
    case 'dsync.user.updated':
      await putUser(change, event.data)
      return
    case 'dsync.user.deleted': {
      const user = await userId(change, event.data.id)
      if (user !== null) await deleteDirectoryUser(change, user)
      return
    }
    case 'dsync.group.created':
    case 'dsync.group.updated':
      await putGroup(change, event.data)
      return
    case 'dsync.group.deleted': {
      const group = await groupId(change, event.data.id)
      if (group !== null) await deleteDirectoryGroup(change, group)
      return
    }
    case 'dsync.group.user_added': {
      // Events may come in another order than they happened.
      const group = (await groupId(change, event.data.group.id)) ?? (await putGroup(change, event.data.group))
      const user = (await userId(change, event.data.user.id)) ?? (await putUser(change, event.data.user))
      await addGroupMembers(change, group, [user])
      return
    }
    case 'dsync.group.user_removed': {
      const group = await groupId(change, event.data.group.id)
      const user = await userId(change, event.data.user.id)
      if (group !== null && user !== null) await removeGroupMembers(change, group, [user])
      return
    }
  }
}

async function putUser(change: DirectoryChange, data: z.infer<typeof userShape>): Promise<string> {
  const primary = data.emails?.find(({ primary }) => primary) ?? data.emails?.[0]
  const email = data.email ?? primary?.value ?? data.username ?? ''
  const wanted: WantedDirectoryUser = {
    userName: data.username ?? email,
    externalId: data.id,
    email,
    givenName: data.first_name ?? null,
    familyName: data.last_name ?? null,
    displayName: null,
    isActive: data.state == null || data.state === 'active',
  }
  const known = await userId(change, data.id)
  const user = known
    ? await changeDirectoryUser(change, known, wanted)
    : await addDirectoryUser(change, wanted)
  return user.id
}

async function putGroup(change: DirectoryChange, data: z.infer<typeof groupShape>): Promise<string> {
  const wanted = { name: data.name, externalId: data.id }
  const known = await groupId(change, data.id)
  if (known === null) return (await addDirectoryGroup(change, { ...wanted, members: [] })).id
  await renameDirectoryGroup(change, known, wanted)
  return known
}

async function userId({ client, directory }: DirectoryChange, value: string): Promise<string | null> {
  const by = { field: 'externalId', value } as const
  const { items } = await listDirectoryUsers(client, directory, { by, offset: 0, count: 1 })
  return items[0]?.id ?? null
}

async function groupId({ client, directory }: DirectoryChange, value: string): Promise<string | null> {
  const by = { field: 'externalId', value } as const
  const { items } = await listDirectoryGroups(client, directory, {
    by,
    offset: 0,
    count: 1,
    withMembers: false,
  })
  return items[0]?.id ?? null
}

async function directoryOf(client: Queryable, workOsId: string): Promise<Directory | null> {
  const { rows } = await client.query<{ id: string; organization_id: OrganizationId; permissions: string[] }>(
    'select id, organization_id, permissions from directories where workos_directory_id = $1',
    [workOsId],
  )
  const row = rows[0]
  return row ? { id: row.id, organizationId: row.organization_id, permissions: row.permissions } : null
}

/** False when it was taken before. */
async function note(client: Queryable, eventId: string): Promise<boolean> {
  await client.query(`delete from taken_webhook_events where at < now() - $1 * interval '1 day'`, [keptDays])
  const { rowCount } = await client.query(
    'insert into taken_webhook_events (id) values ($1) on conflict do nothing',
    [eventId],
  )
  return rowCount === 1
}
