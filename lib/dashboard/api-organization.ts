/** The part of the JSON API by which people manage an organization. Every call is checked again by the server. */
import { callApi, type Environment, listOf } from './api.js'

export type RoleName = 'ADMIN' | 'DEVELOPER' | 'ACTION_RUNNER' | 'READONLY_VIEWER'
export type TeamLevel = 'VIEWER' | 'RUNNER' | 'ADMINISTRATOR'

export interface Team {
  id: string
  slug: string
  name: string
  isManaged: boolean
  members: number
}

export interface Member {
  id: string
  email: string
  firstName: string | null
  lastName: string | null
  role: RoleName | null
  isOwner: boolean
  teams: { id: string; slug: string; name: string }[]
  joinedAt: string
  /** Only for who may change members. */
  liveKeys?: number
  hasSecondFactor?: boolean
}

export interface Invitation {
  id: string
  email: string
  role: RoleName | null
  teamIds: string[]
  invitedBy: string | null
  createdAt: string
  expiresAt: string
  isExpired: boolean
}

export interface TeamDetails {
  team: Team
  members: Pick<Member, 'id' | 'email' | 'firstName' | 'lastName'>[]
  access: { kind: 'action' | 'page'; environment: string; slug: string; level: TeamLevel }[]
}

/** What is set about an action or a page. */
export interface Settable {
  id: string
  slug: string
  name: string | null
  description: string | null
  unlisted: boolean
  availability: 'ORGANIZATION' | 'GROUPS' | null
  teams: { id: string; level: TeamLevel }[]
  inCode: boolean
  inheritsFrom: string | null
}

export interface NotificationTarget {
  to: string
  method: 'EMAIL' | 'SLACK' | null
}

export interface ActionSettings extends Settable {
  kind: 'action'
  backgroundable: boolean
  overrides: { name: string | null; description: string | null; backgroundable: boolean | null }
  isArchived: boolean
  notifications: NotificationTarget[]
}

export interface PageSettings extends Settable {
  kind: 'page'
  hasHandler: boolean
}

export interface HttpHost {
  id: string
  url: string
  status: 'ONLINE' | 'OFFLINE' | 'UNREACHABLE'
  sdkName: string | null
  sdkVersion: string | null
  lastConnectedAt: string | null
  createdAt: string
}

export interface OrganizationSettings {
  id: string
  slug: string
  name: string
  requireSecondFactor: boolean
  owner: { id: string; email: string } | null
  isOwner: boolean
  ownsOthers: boolean
}

export interface AuditRow {
  id: string
  at: string
  event: string
  person: { id: string; email: string | null } | null
  address: string | null
  details: Record<string, unknown>
}

export interface AuditFilter {
  person: string
  event: string
  /** ISO 8601, or empty. */
  from: string
  to: string
}

type Page<Row> = { rows: Row[]; next: string | null }

/** One organization, by its slug. */
export class OrganizationApi {
  readonly #base: string

  constructor(slug: string) {
    this.#base = `/api/v1/organizations/${encodeURIComponent(slug)}`
  }

  async members(search: string, cursor: string | null): Promise<Page<Member>> {
    const body = await callApi('GET', `${this.#base}/members${queryOf({ search, cursor })}`)
    return pageOf<Member>(body, 'members')
  }

  async changeMember(id: string, wanted: { role?: RoleName; teams?: readonly string[] }): Promise<void> {
    await callApi('PATCH', this.#path('members', id), wanted)
  }

  async removeMember(id: string): Promise<void> {
    await callApi('DELETE', this.#path('members', id))
  }

  async invitations(): Promise<Invitation[]> {
    return listOf(await callApi('GET', this.#path('invitations')), 'invitations') as unknown as Invitation[]
  }

  async invite(wanted: { email: string; role: string; teams: readonly string[] }): Promise<Invitation> {
    return (await callApi('POST', this.#path('invitations'), wanted)) as unknown as Invitation
  }

  async resendInvitation(id: string): Promise<void> {
    await callApi('POST', this.#path('invitations', id, 'resend'), {})
  }

  async revokeInvitation(id: string): Promise<void> {
    await callApi('DELETE', this.#path('invitations', id))
  }

  async teams(): Promise<Team[]> {
    return listOf(await callApi('GET', this.#path('teams')), 'teams') as unknown as Team[]
  }

  async team(id: string): Promise<TeamDetails> {
    return (await callApi('GET', this.#path('teams', id))) as unknown as TeamDetails
  }

  async addTeam(wanted: { name: string; slug?: string }): Promise<{ id: string }> {
    return (await callApi('POST', this.#path('teams'), wanted)) as unknown as { id: string }
  }

  async renameTeam(id: string, name: string): Promise<void> {
    await callApi('PATCH', this.#path('teams', id), { name })
  }

  async deleteTeam(id: string): Promise<void> {
    await callApi('DELETE', this.#path('teams', id))
  }

  async addToTeam(id: string, memberId: string): Promise<void> {
    await callApi('PUT', this.#path('teams', id, 'members', memberId), {})
  }

  async takeFromTeam(id: string, memberId: string): Promise<void> {
    await callApi('DELETE', this.#path('teams', id, 'members', memberId))
  }

  async environments(): Promise<Environment[]> {
    return listOf(
      await callApi('GET', this.#path('environments')),
      'environments',
    ) as unknown as Environment[]
  }

  async addEnvironment(wanted: { name: string; slug?: string; color: string | null }): Promise<void> {
    await callApi('POST', this.#path('environments'), wanted)
  }

  async changeEnvironment(slug: string, wanted: { name: string; color: string | null }): Promise<void> {
    await callApi('PATCH', this.#path('environments', slug), wanted)
  }

  async deleteEnvironment(slug: string): Promise<void> {
    await callApi('DELETE', this.#path('environments', slug))
  }

  async actionSettings(environment: string): Promise<{ actions: ActionSettings[]; pages: PageSettings[] }> {
    const body = await callApi('GET', this.#path('environments', environment, 'settings'))
    return body as unknown as { actions: ActionSettings[]; pages: PageSettings[] }
  }

  async changeAction(
    environment: string,
    id: string,
    wanted: {
      name?: string | null
      description?: string | null
      backgroundable?: boolean | null
      isArchived?: boolean
      notifications?: readonly NotificationTarget[]
    },
  ): Promise<void> {
    await callApi('PATCH', this.#path('environments', environment, 'settings', 'actions', id), wanted)
  }

  async setAccess(
    environment: string,
    thing: { kind: 'action' | 'page'; id: string },
    rule: Pick<Settable, 'availability' | 'teams'>,
  ): Promise<void> {
    const path = this.#path('environments', environment, 'settings', `${thing.kind}s`, thing.id, 'access')
    await callApi('PUT', path, rule)
  }

  async httpHosts(): Promise<HttpHost[]> {
    return listOf(await callApi('GET', this.#path('http-hosts')), 'httpHosts') as unknown as HttpHost[]
  }

  /** The secret signs what is sent to it. */
  async addHttpHost(url: string): Promise<{ id: string; secret: string }> {
    const made = await callApi('POST', this.#path('http-hosts'), { url })
    return made as unknown as { id: string; secret: string }
  }

  async checkHttpHost(id: string): Promise<HttpHost['status']> {
    const { status } = await callApi('POST', this.#path('http-hosts', id, 'check'), {})
    return status as HttpHost['status']
  }

  async removeHttpHost(id: string): Promise<void> {
    await callApi('DELETE', this.#path('http-hosts', id))
  }

  async settings(): Promise<OrganizationSettings> {
    return (await callApi('GET', this.#path('settings'))) as unknown as OrganizationSettings
  }

  async changeSettings(wanted: {
    name?: string
    slug?: string
    requireSecondFactor?: boolean
  }): Promise<void> {
    await callApi('PATCH', this.#path('settings'), wanted)
  }

  async isSlugFree(slug: string): Promise<boolean> {
    const { isFree } = await callApi('GET', `${this.#path('settings', 'slug')}${queryOf({ slug })}`)
    return isFree === true
  }

  async transferOwnership(id: string): Promise<void> {
    await callApi('PUT', this.#path('owner'), { id })
  }

  async deleteOrganization(slug: string): Promise<void> {
    await callApi('DELETE', `${this.#base}${queryOf({ slug })}`)
  }

  async audit(filter: AuditFilter, cursor: string | null): Promise<Page<AuditRow>> {
    const body = await callApi('GET', `${this.#path('audit')}${queryOf({ ...filter, cursor })}`)
    return pageOf<AuditRow>(body, 'rows')
  }

  async auditEvents(): Promise<string[]> {
    const { events } = await callApi('GET', this.#path('audit', 'events'))
    return Array.isArray(events) ? events.map(String) : []
  }

  /** Where a file of all rows that fit is. */
  auditFile(filter: AuditFilter, format: 'csv' | 'json'): string {
    return `${this.#path('audit', 'export')}${queryOf({ ...filter, format })}`
  }

  #path(...parts: readonly string[]): string {
    return [this.#base, ...parts.map(encodeURIComponent)].join('/')
  }
}

/** What is empty is left out. */
function queryOf(values: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value) query.set(name, value)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

function pageOf<Row>(body: Record<string, unknown>, member: string): Page<Row> {
  return {
    rows: listOf(body, member) as unknown as Row[],
    next: typeof body.next === 'string' ? body.next : null,
  }
}
