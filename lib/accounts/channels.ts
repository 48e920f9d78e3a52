/**
 * The ways out of an organization, for who administers it: the outbox of its mails, and its Slack workspace.
 *
 * Invariant: a mail that holds a link into somebody's account is read only by who could not use it for more than they may
 * already: mails about accounts are shown for people who are in this organization and no other, and those to the owner
 * only to the owner. What a mail says can be read only while it was not sent, and reading it leaves an audit row.
 */
import { AppError } from '../errors.js'
import type { OrganizationId, UserId } from '../ids.js'
import { limits } from '../limits.js'
import type { MailStatus } from '../mail/index.js'
import type { Slack } from '../slack/index.js'
import type { Actor } from './contract.js'
import { type FailedDelivery, failedDeliveries } from './deliveries.js'
import type { Asker, Guard } from './guard.js'
import { withoutSeals } from './invitations.js'
import { decodeCursor, encodeCursor } from './page-cursor.js'
import type { Origin } from './sign-in.js'
import type { SlackConnection, SlackConnections } from './slack-connections.js'

/** A mail as lists show it. */
export interface MailListing {
  readonly id: string
  readonly kind: string
  readonly to: string
  readonly subject: string
  readonly status: MailStatus
  readonly attempts: number
  /** Why the last attempt failed. */
  readonly error: string | null
  readonly createdAt: string
  /** When it is tried again. */
  readonly nextAttemptAt: string | null
}

export interface Channels {
  readonly mail: { readonly isSent: boolean }
  readonly slack: { readonly isOffered: boolean; readonly connection: SlackConnection | null }
}

export interface ChannelAccounts {
  /** How people are reached. */
  channels(by: Asker): Promise<Channels>
  /** What was not delivered of the newest notifications, and why; newest first. */
  failedDeliveries(by: Asker): Promise<{ deliveries: FailedDelivery[] }>
  /** Newest first. */
  mails(
    by: Asker,
    page: { readonly status?: MailStatus | undefined; readonly cursor?: string | undefined },
  ): Promise<{ mails: MailListing[]; next: string | null }>
  /** With its text, as long as it was not sent. */
  mail(by: Asker, id: string): Promise<MailListing & { readonly text: string | null }>
  /** Sends one that has failed or was kept. Rejects with `conflict` for another, `unavailable` without a mail server. */
  sendMail(by: Asker, id: string): Promise<void>
  /** Where to go to let the app into a workspace. */
  connectSlack(by: Asker): Promise<{ url: string }>
  /** Comes back from there. Returns the slug of the organization; rejects with `forbidden` for what was not begun here. */
  finishSlack(
    userId: UserId,
    answer: { readonly code: string; readonly state: string },
    origin: Origin,
  ): Promise<string>
  disconnectSlack(by: Asker): Promise<void>
}

export interface ChannelOptions {
  readonly guard: Guard
  readonly connections: SlackConnections
  /** Null where no app of Slack is set up. */
  readonly slack: Slack | null
  readonly sendsMail: boolean
  readonly appUrl: string
}

const pageSize = 50

/** Those about accounts that an administrator is shown: $1 the organization, $2 the person. */
const aboutAccounts = `mails.organization_id is null and lower(mails.recipient) in (
  select lower(people.email) from memberships join people on people.id = memberships.person_id
  join organizations on organizations.id = memberships.organization_id
  where memberships.organization_id = $1 and (organizations.owner_id is distinct from people.id or people.id = $2)
    and not exists (
      select from memberships as others where others.person_id = people.id and others.organization_id <> $1))`

const shown = `(mails.organization_id = $1 or (${aboutAccounts}))`

interface MailRow {
  readonly id: string
  readonly kind: string
  readonly recipient: string
  readonly subject: string
  readonly text: string | null
  readonly status: MailStatus
  readonly attempts: number
  readonly error: string | null
  readonly created_at: Date
  readonly next_attempt_at: Date | null
}

export function createChannelAccounts(options: ChannelOptions): ChannelAccounts {
  const { appUrl, connections, guard, sendsMail, slack } = options
  const { database } = guard
  const redirectUri = `${appUrl}/api/auth/oauth/slack`
  const administrator = (by: Asker, what: string): Promise<Actor> =>
    guard.member(by, 'WRITE_ORG_SETTINGS', what)

  const offered = (): Slack => {
    if (!slack) throw new AppError('not-found', 'No app of Slack is set up on this server.')
    return slack
  }

  return {
    async channels(by) {
      const actor = await administrator(by, 'channels')
      const connection = await connections.find(actor.organization.id)
      return { mail: { isSent: sendsMail }, slack: { isOffered: slack !== null, connection } }
    },

    async failedDeliveries(by) {
      const actor = await administrator(by, 'outbox')
      return { deliveries: await failedDeliveries(database, actor.organization.id) }
    },

    async mails(by, { cursor, status }) {
      const actor = await administrator(by, 'outbox')
      const [at, id] = decodeCursor(cursor, 2)
      if (at !== undefined && Number.isNaN(Date.parse(at)))
        throw new AppError('bad-request', 'The cursor is not valid.', { fields: { cursor: 'not valid' } })
      // Each kind has its newest from an index; a page is the newest of both.
      const newest = (which: string) => `(
        select id, kind, recipient, subject, status, attempts, error, created_at, next_attempt_at from mails
        where ${which} and ($3::text is null or status = $3)
          and ($4::timestamptz is null or (created_at, id) < ($4, $5))
        order by created_at desc, id desc limit $6)`
      const { rows } = await database.query<MailRow & { place: string } & Record<string, unknown>>(
        `select *, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as place
         from (${newest('organization_id = $1')} union all ${newest(aboutAccounts)}) as mails
         order by created_at desc, id desc limit $6`,
        [actor.organization.id, actor.user.id, status ?? null, at ?? null, id ?? null, pageSize + 1],
      )
      const page = rows.slice(0, pageSize)
      const last = page.at(-1)
      const next = rows.length > pageSize && last ? encodeCursor([last.place, last.id]) : null
      return { mails: page.map(listed), next }
    },

    async mail(by, id) {
      const actor = await administrator(by, 'outbox')
      const { rows } = await database.query<MailRow & Record<string, unknown>>(
        `select * from mails where ${shown} and id = $3`,
        [actor.organization.id, actor.user.id, id],
      )
      const row = rows[0]
      if (!row) throw new AppError('not-found')
      const isReadable = row.status === 'KEPT' || row.status === 'FAILED'
      if (isReadable) guard.changed(by, actor, 'mail.read', { mail: id, kind: row.kind, to: row.recipient })
      // Reading it here is not reading it there: the links work, and prove no address.
      return { ...listed(row), text: isReadable && row.text !== null ? withoutSeals(row.text) : null }
    },

    async sendMail(by, id) {
      const actor = await administrator(by, 'outbox')
      if (!sendsMail) throw new AppError('unavailable', 'No mail server is set up on this server.')
      const { rows } = await database.query<{ is_sent: boolean }>(
        `with wanted as (select id from mails where ${shown} and id = $3),
         sent as (
           update mails set status = 'WAITING', attempts = 0, next_attempt_at = now(), error = null, updated_at = now(),
             deadline_at = now() + make_interval(secs => $4)
           from wanted where mails.id = wanted.id and status in ('FAILED', 'KEPT') and text is not null
           returning mails.id
         )
         select exists (select from sent) as is_sent from wanted`,
        [actor.organization.id, actor.user.id, id, limits.mailDeadlineMs / 1_000],
      )
      if (!rows[0]) throw new AppError('not-found')
      if (!rows[0].is_sent) throw new AppError('conflict', 'This mail is not one to be sent again.')
      guard.changed(by, actor, 'mail.sent-again', { mail: id })
    },

    async connectSlack(by) {
      const actor = await administrator(by, 'connect Slack')
      const app = offered()
      const nonce = await connections.begin({ userId: by.userId, organizationId: actor.organization.id })
      return { url: app.authorizeUrl(nonce, redirectUri) }
    },

    async finishSlack(userId, { code, state }, origin) {
      const app = offered()
      const organization = await connections.claim(state, userId)
      if (!organization)
        throw new AppError('forbidden', 'This was not begun here, or too long ago. Connect Slack once more.')
      const by = { userId, organization: organization.slug, origin }
      // They may have lost the right meanwhile.
      const actor = await administrator(by, 'connect Slack')
      const found = await app.exchange(code, redirectUri).catch(() => null)
      if (!found) throw new AppError('unavailable', 'Slack did not confirm the connection. Try it once more.')
      await connections.connect(organization.id as OrganizationId, { ...found, userId })
      guard.changed(by, actor, 'slack.connected', { workspace: found.workspace })
      return organization.slug
    },

    async disconnectSlack(by) {
      const actor = await administrator(by, 'disconnect Slack')
      if (!(await connections.disconnect(actor.organization.id))) throw new AppError('not-found')
      guard.changed(by, actor, 'slack.disconnected', {})
    },
  }
}

function listed(row: MailRow): MailListing {
  return {
    id: row.id,
    kind: row.kind,
    to: row.recipient,
    subject: row.subject,
    status: row.status,
    attempts: row.attempts,
    error: row.error,
    createdAt: row.created_at.toISOString(),
    nextAttemptAt: row.next_attempt_at?.toISOString() ?? null,
  }
}
