/**
 * Addresses of the app. A place (organization and environment) and a slug make the path of an action; `parseRoute` is
 * the inverse. Hosts hand us URLs too, and those are never trusted to be harmless: `safeUrl` lets http, https, mailto
 * and tel through and nothing that runs script in our origin.
 */
import type { Place } from '../clients/wire.js'

export type Route =
  | { screen: 'root' | 'sign-in' | 'sign-up' | 'set-up' | 'confirm-email' | 'verify-mfa' | 'not-found' }
  | { screen: 'live' | 'console' | 'keys' | 'cluster' | 'history'; place: Place }
  | { screen: 'forgot-password' | 'reset-password' }
  | { screen: 'identity-proven'; isProven: boolean }
  /** `section` is empty for the first. */
  | { screen: 'account'; section: string }
  | { screen: 'action'; place: Place; slug: string }
  /** `section` is empty where none is named; `rest` is what follows it. */
  | { screen: 'organization'; place: Place; section: string; rest: readonly string[] }
  | { screen: 'transaction'; place: Place | null; transactionId: string }

/** The slug of the environment in which a developer's own hosts run. */
export const consoleEnvironment = 'development'

/** What a path shows. */
export function parseRoute(pathname: string): Route {
  const parts = pathname
    .split('/')
    .filter(part => part !== '')
    .map(decodePart)
  const [first, second, third] = parts
  if (first === undefined) return { screen: 'root' }
  const single: Record<string, Route> = {
    login: { screen: 'sign-in' },
    signup: { screen: 'sign-up' },
    setup: { screen: 'set-up' },
    'confirm-email': { screen: 'confirm-email' },
    'verify-mfa': { screen: 'verify-mfa' },
    'forgot-password': { screen: 'forgot-password' },
    'reset-password': { screen: 'reset-password' },
    'authentication-confirmed': { screen: 'identity-proven', isProven: true },
    'authentication-not-confirmed': { screen: 'identity-proven', isProven: false },
    account: { screen: 'account', section: '' },
    // Addresses of the original.
    'enroll-mfa': { screen: 'account', section: 'security' },
    'new-organization': { screen: 'account', section: 'organizations' },
    dashboard: { screen: 'root' },
  }
  if (second === undefined) {
    return (Object.hasOwn(single, first) ? single[first] : undefined) ?? { screen: 'not-found' }
  }
  if (first === 'transactions' && third === undefined) {
    return { screen: 'transaction', place: null, transactionId: second }
  }
  if (first === 'account' && third === undefined) return { screen: 'account', section: second }
  if (first !== 'dashboard') return { screen: 'not-found' }
  const [organization = '', environment = 'production'] = second.split('+')
  const inConsole = third === 'develop'
  const place = { organization, environment: inConsole ? consoleEnvironment : environment }
  const rest = parts.slice(inConsole ? 3 : 2)
  if (rest.length === 0) return { screen: inConsole ? 'console' : 'live', place }
  if (rest[0] === 'actions') {
    const slug = rest.slice(1).join('/')
    return slug === '' ? { screen: inConsole ? 'console' : 'live', place } : { screen: 'action', place, slug }
  }
  if (rest[0] === 'transactions' && rest[1] !== undefined && rest[2] === undefined) {
    return { screen: 'transaction', place, transactionId: rest[1] }
  }
  if ((rest[0] === 'transactions' || rest[0] === 'history') && rest[1] === undefined) {
    return { screen: 'history', place }
  }
  if (!inConsole && rest[0] === 'organization') {
    return { screen: 'organization', place, section: rest[1] ?? '', rest: rest.slice(2) }
  }
  if (!inConsole && rest[0] === 'cluster' && rest[1] === undefined) return { screen: 'cluster', place }
  if (inConsole && rest[0] === 'keys' && rest[1] === undefined) return { screen: 'keys', place }
  return { screen: 'not-found' }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export function isConsole(place: Place): boolean {
  return place.environment === consoleEnvironment
}

/** `/dashboard/acme`, `/dashboard/acme+staging`, `/dashboard/acme/develop` */
export function placeHref(place: Place): string {
  const organization = encodeURIComponent(place.organization)
  if (isConsole(place)) return `/dashboard/${organization}/develop`
  const suffix = place.environment === 'production' ? '' : `+${encodeURIComponent(place.environment)}`
  return `/dashboard/${organization}${suffix}`
}

/** Where the list of actions is: the dashboard itself when live, the console's index in development. */
export function listHref(place: Place): string {
  return isConsole(place) ? `${placeHref(place)}/actions` : placeHref(place)
}

/** A section of a person's own account. */
export function accountHref(section = ''): string {
  return section === '' ? '/account' : `/account/${section}`
}

export function keysHref(place: Place): string {
  return `${placeHref({ ...place, environment: consoleEnvironment })}/keys`
}

/** `/dashboard/acme/organization/users`; without a section, the first that the person may see. */
export function organizationHref(place: Pick<Place, 'organization'>, ...section: readonly string[]): string {
  const home = placeHref({ organization: place.organization, environment: 'production' })
  return [home, 'organization', ...section.map(encodeURIComponent)].join('/')
}

export function clusterHref(place: Place): string {
  return `${placeHref({ ...place, environment: 'production' })}/cluster`
}

export function transactionHref(place: Place, transactionId: string): string {
  return `${placeHref(place)}/transactions/${encodeURIComponent(transactionId)}`
}

/** `/dashboard/acme/transactions`, `/dashboard/acme/develop/transactions` */
export function historyHref(place: Place): string {
  return `${placeHref(place)}/transactions`
}

/** A run as the history tells of it, also while a node still holds it. */
export function pastRunHref(place: Place, transactionId: string): string {
  return `${transactionHref(place, transactionId)}?history`
}

/** Path and query of an action; empty parameters are left out. */
export function actionHref(place: Place, slug: string, params?: Record<string, unknown> | null): string {
  const path = `${placeHref(place)}/actions/${slug.split('/').map(encodeURIComponent).join('/')}`
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(params ?? {})) {
    if (value === null || value === undefined || value === false || value === '' || value === 0) continue
    query.append(key, value instanceof Date ? value.toJSON() : String(value))
  }
  const text = query.toString()
  return text === '' ? path : `${path}?${text}`
}

/** The parent of `a/b/c` is `a/b`; null at the top. */
export function parentSlug(slug: string): string | null {
  const at = slug.lastIndexOf('/')
  return at < 0 ? null : slug.slice(0, at)
}

/** The URL as it was given when it may be followed, otherwise null. Relative ones are fine. */
export function safeUrl(url: string): string | null {
  // Browsers drop control characters and blanks in front of a scheme; so must the check.
  const bare = Array.from(url)
    .filter(character => character.charCodeAt(0) > 32)
    .join('')
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(bare)?.[1]?.toLowerCase()
  if (scheme === undefined) return url
  return ['http', 'https', 'mailto', 'tel'].includes(scheme) ? url : null
}

/** The URL of an image or a video: also data and blob URLs, which run nothing there. */
export function safeMediaUrl(url: string): string | null {
  return /^(data:(image|video|audio)\/|blob:)/i.test(url) ? url : safeUrl(url)
}

/** The props by which hosts name a target: `url`/`href`, or `route`/`action` with `params`. */
export interface Target {
  href: string
  /** True when the target is another address of this app. */
  isInternal: boolean
}

/** Where a link item leads, or null when it leads nowhere. */
export function targetOf(item: Record<string, unknown>, place: Place): Target | null {
  const route = item.route ?? item.action
  if (typeof route === 'string' && route !== '') {
    const params = typeof item.params === 'object' ? (item.params as Record<string, unknown> | null) : null
    return { href: actionHref(place, route, params), isInternal: true }
  }
  const url = item.url ?? item.href
  if (typeof url !== 'string' || url === '') return null
  const safe = safeUrl(url)
  return safe === null ? null : { href: safe, isInternal: false }
}
