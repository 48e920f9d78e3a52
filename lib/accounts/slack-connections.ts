/**
 * The Slack workspaces of organizations. Connecting one is a round trip over Slack: who leaves takes a nonce along that
 * opens once, for them, within ten minutes; the token that comes back is stored sealed.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Queryable } from '../database/index.js'
import type { OrganizationId, UserId } from '../ids.js'
import { Secret } from '../log.js'
import { createSealing, type Sealing } from './sealing.js'

const requestMsMax = 600_000

export interface SlackConnection {
  readonly workspace: string
  readonly connectedAt: string
}

export class SlackConnections {
  readonly #database: Queryable
  readonly #sealing: Sealing

  /** `secret` is the server's own. */
  constructor(database: Queryable, secret: string) {
    this.#database = database
    this.#sealing = createSealing(secret, 'slack token')
  }

  /** The nonce for somebody who leaves for Slack. */
  async begin(who: { userId: UserId; organizationId: OrganizationId }): Promise<string> {
    const nonce = randomBytes(24).toString('base64url')
    await this.#database.query('delete from slack_requests where expires_at < now() or person_id = $1', [
      who.userId,
    ])
    await this.#database.query(
      `insert into slack_requests (nonce_hash, organization_id, person_id, expires_at)
       values ($1, $2, $3, now() + make_interval(secs => $4))`,
      [hashOf(nonce), who.organizationId, who.userId, requestMsMax / 1_000],
    )
    return nonce
  }

  /** Slug and id of the organization that this person has left for; null when the nonce opens nothing. It is used up. */
  async claim(nonce: string, userId: UserId): Promise<{ id: OrganizationId; slug: string } | null> {
    const { rows } = await this.#database.query<{ id: OrganizationId; slug: string }>(
      `with used as (
         delete from slack_requests where nonce_hash = $1 and person_id = $2 returning organization_id, expires_at
       )
       select organizations.id, slug from used join organizations on organizations.id = used.organization_id
       where used.expires_at > now()`,
      [hashOf(nonce), userId],
    )
    return rows[0] ?? null
  }

  /** Replaces an older connection. */
  async connect(
    organizationId: OrganizationId,
    connection: { token: string; workspace: string; userId: UserId },
  ): Promise<void> {
    await this.#database.query(
      `insert into slack_connections (organization_id, workspace, token, connected_by_id) values ($1, $2, $3, $4)
       on conflict (organization_id) do update set workspace = excluded.workspace, token = excluded.token,
         connected_by_id = excluded.connected_by_id, created_at = now()`,
      [
        organizationId,
        connection.workspace,
        this.#sealing.seal(organizationId, connection.token),
        connection.userId,
      ],
    )
  }

  async find(organizationId: OrganizationId): Promise<SlackConnection | null> {
    const { rows } = await this.#database.query<{ workspace: string; created_at: Date }>(
      'select workspace, created_at from slack_connections where organization_id = $1',
      [organizationId],
    )
    const row = rows[0]
    return row ? { workspace: row.workspace, connectedAt: row.created_at.toISOString() } : null
  }

  /** Null when none is connected, or its token cannot be opened with this server's secret. */
  async token(organizationId: OrganizationId): Promise<Secret | null> {
    const { rows } = await this.#database.query<{ token: string }>(
      'select token from slack_connections where organization_id = $1',
      [organizationId],
    )
    const token = rows[0] && this.#sealing.unseal(organizationId, rows[0].token)
    return token ? new Secret(token.toString()) : null
  }

  /** With a token only the connection that has it. False when there was none. */
  async disconnect(organizationId: OrganizationId, token?: Secret): Promise<boolean> {
    const { rows } = await this.#database.query<{ token: string }>(
      'select token from slack_connections where organization_id = $1',
      [organizationId],
    )
    const sealed = rows[0]?.token
    if (sealed === undefined) return false
    if (token && this.#sealing.unseal(organizationId, sealed)?.toString() !== token.reveal()) return false
    const { rowCount } = await this.#database.query(
      'delete from slack_connections where organization_id = $1 and ($2::text is null or token = $2)',
      [organizationId, token ? sealed : null],
    )
    return rowCount === 1
  }
}

function hashOf(nonce: string): Buffer {
  return createHash('sha256').update(nonce).digest()
}
