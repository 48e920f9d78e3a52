/**
 * Who may do what, as pure functions: a role implies fine permissions, and an access rule of an action or page decides
 * who of those sees and runs it.
 *
 * Invariant: deny by default. A rule for teams shuts out everybody who is in none of them, administrators of the
 * organization too: what payroll may run is not for whoever manages accounts.
 */
import { AppError } from '../errors.js'
import type { Actor, Role } from './contract.js'

const all = [
  'READ_DEV_ACTIONS',
  'WRITE_DEV_ACTIONS',
  'RUN_DEV_ACTIONS',
  'READ_DEV_TRANSACTIONS',
  'WRITE_DEV_TRANSACTIONS',
  'CREATE_DEV_API_KEYS',
  'READ_PROD_ACTIONS',
  'WRITE_PROD_ACTIONS',
  'RUN_PROD_ACTIONS',
  'READ_USER_PROD_TRANSACTIONS',
  'WRITE_USER_PROD_TRANSACTIONS',
  'READ_ORG_PROD_TRANSACTIONS',
  'CREATE_PROD_API_KEYS',
  'READ_ORG_USERS',
  'WRITE_ORG_USERS',
  'READ_ORG_SETTINGS',
  'WRITE_ORG_SETTINGS',
  'WRITE_ORG_ENVIRONMENTS',
] as const

/** One thing a person may do in an organization. */
export type Permission = (typeof all)[number]

const readOnly: readonly Permission[] = ['READ_PROD_ACTIONS', 'READ_USER_PROD_TRANSACTIONS', 'READ_ORG_USERS']
const running: readonly Permission[] = [...readOnly, 'RUN_PROD_ACTIONS', 'WRITE_USER_PROD_TRANSACTIONS']

/** What each role implies. A membership may hold several roles and single permissions besides. */
export const rolePermissions = {
  ADMIN: all,
  DEVELOPER: [
    ...running,
    'READ_DEV_ACTIONS',
    'WRITE_DEV_ACTIONS',
    'RUN_DEV_ACTIONS',
    'READ_DEV_TRANSACTIONS',
    'WRITE_DEV_TRANSACTIONS',
    'CREATE_DEV_API_KEYS',
    'WRITE_PROD_ACTIONS',
    'READ_ORG_SETTINGS',
  ],
  ACTION_RUNNER: running,
  READONLY_VIEWER: readOnly,
} as const satisfies Record<string, readonly Permission[]>

export type RoleName = keyof typeof rolePermissions

const known = new Set<string>([...all, ...Object.keys(rolePermissions)])

/** True for the name of a role or of a fine permission. */
export function isPermission(name: string): boolean {
  return known.has(name)
}

/** The names a membership holds and all they imply. Unknown names imply nothing and are kept. */
export function impliedPermissions(held: readonly string[]): ReadonlySet<string> {
  const implied = new Set(held)
  for (const name of held) {
    if (!Object.hasOwn(rolePermissions, name)) continue
    for (const permission of rolePermissions[name as RoleName]) implied.add(permission)
  }
  return implied
}

/** The roles that people give each other, the highest first. */
export const givenRoles = ['ADMIN', 'DEVELOPER', 'ACTION_RUNNER'] as const

/** The highest role that is held; null when there is none. */
export function roleNameOf(held: readonly string[]): RoleName | null {
  const names = Object.keys(rolePermissions) as RoleName[]
  return names.find(name => held.includes(name)) ?? null
}

/** True when somebody holds all that these permissions imply: nobody gives or takes more than they have. */
export function isGrantable(actor: Pick<Actor, 'permissions'>, held: readonly string[]): boolean {
  const implied = impliedPermissions(held)
  return all.every(name => !implied.has(name) || actor.permissions.has(name))
}

/** The role shown to people and told to hosts. */
export function roleOf(held: readonly string[]): Role {
  if (held.includes('ADMIN')) return 'admin'
  return held.includes('DEVELOPER') ? 'developer' : 'member'
}

/** Rejects with `forbidden` when the permission is missing. */
export function requirePermission(actor: Pick<Actor, 'permissions'>, permission: Permission): void {
  if (!actor.permissions.has(permission)) throw new AppError('forbidden')
}

export type TeamLevel = 'VIEWER' | 'RUNNER' | 'ADMINISTRATOR'

/** What is set on one action or page. */
export type AccessRule =
  | { readonly availability: 'ORGANIZATION' }
  /** Team slug → what its members may do. */
  | { readonly availability: 'GROUPS'; readonly teams: Readonly<Record<string, TeamLevel>> }

/** The rule of the action itself, then of each page above it, nearest first; null where nothing is set. */
export type AccessChain = readonly (AccessRule | null | undefined)[]

const levels = ['none', 'view', 'run', 'administer'] as const
/** How far somebody gets with an action or page. */
export type AccessLevel = (typeof levels)[number]

const ofTeam: Record<TeamLevel, AccessLevel> = { VIEWER: 'view', RUNNER: 'run', ADMINISTRATOR: 'administer' }

/** Own rule, else the nearest one above, else open to the organization; never more than the role allows. */
export function accessLevel(
  actor: Pick<Actor, 'permissions' | 'teams' | 'environment'>,
  chain: AccessChain,
): AccessLevel {
  const development = actor.environment.slug === 'development'
  const mayRunAtAll = actor.permissions.has(development ? 'RUN_DEV_ACTIONS' : 'RUN_PROD_ACTIONS')
  const maySeeAtAll = actor.permissions.has(development ? 'READ_DEV_ACTIONS' : 'READ_PROD_ACTIONS')
  const byRole = mayRunAtAll ? 'run' : maySeeAtAll ? 'view' : 'none'
  const rule = chain.find(candidate => candidate !== null && candidate !== undefined)
  if (!rule || rule.availability === 'ORGANIZATION') return byRole
  let best = 0
  for (const team of actor.teams) {
    const level = Object.hasOwn(rule.teams, team) ? rule.teams[team] : undefined
    if (level) best = Math.max(best, levels.indexOf(ofTeam[level]))
  }
  const byTeam = levels[best] ?? 'none'
  return byRole === 'run' ? byTeam : lower(byRole, byTeam)
}

/** True when the person may run the action, or open the page. */
export function mayRun(
  actor: Pick<Actor, 'permissions' | 'teams' | 'environment'>,
  chain: AccessChain,
): boolean {
  return ['run', 'administer'].includes(accessLevel(actor, chain))
}

function lower(one: AccessLevel, other: AccessLevel): AccessLevel {
  return levels.indexOf(one) < levels.indexOf(other) ? one : other
}
