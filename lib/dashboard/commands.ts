/**
 * What the command bar offers: everything a person can go to from where they are. Pure.
 *
 * An entry fits a query when each word of it begins a word of the entry's own words or of where it is; what begins with
 * the query itself comes first.
 */
import type { Directory, Place } from '../clients/wire.js'
import type { Session } from './api.js'
import {
  accountHref,
  actionHref,
  clusterHref,
  consoleEnvironment,
  isConsole,
  keysHref,
  listHref,
  organizationHref,
  placeHref,
} from './links.js'
import { sectionsFor } from './screens/organization/section-list.js'
import { ancestorsOf } from './tree.js'

export interface Command {
  readonly id: string
  readonly label: string
  /** Where it is or what it belongs to. */
  readonly hint: string
  readonly kind: 'action' | 'page' | 'place' | 'simulate-restart' | 'single-keys' | 'sign-out'
  /** Absent for what is done rather than gone to. */
  readonly href?: string
}

const shownMax = 50

export function commandsOf(
  place: Place,
  directory: Directory,
  session: Session,
  hasSingleKeys: boolean,
): Command[] {
  const inside = (slug: string): string => {
    const names = ancestorsOf(directory, slug).map(page => page.name)
    return names.length > 0 ? names.join(' › ') : isConsole(place) ? 'Console' : 'Live'
  }
  const entries = [
    ...directory.actions.map(action => ({ ...action, kind: 'action' as const, isUsable: action.online })),
    ...directory.pages.map(page => ({
      ...page,
      kind: 'page' as const,
      isUsable: page.online || !page.hasHandler,
    })),
  ]
  const commands: Command[] = entries
    .filter(entry => !entry.unlisted && entry.isUsable)
    .map(({ kind, slug, name }) => ({
      id: `${kind} ${slug}`,
      label: name || slug,
      hint: inside(slug),
      kind,
      href: actionHref(place, slug),
    }))
    .sort((a, b) => a.label.localeCompare(b.label))
  return [...commands, ...placesOf(place, session, hasSingleKeys)]
}

function placesOf(place: Place, session: Session, hasSingleKeys: boolean): Command[] {
  const go = (label: string, hint: string, href: string): Command => ({
    id: `place ${href}`,
    label,
    hint,
    kind: 'place',
    href,
  })
  const commands: Command[] = []
  for (const organization of session.organizations) {
    const slug = organization.slug
    const live = organization.environments.filter(environment => environment.slug !== consoleEnvironment)
    for (const environment of live) {
      const label = environment.slug === 'production' ? 'Live actions' : environment.name
      commands.push(
        go(label, organization.name, placeHref({ organization: slug, environment: environment.slug })),
      )
    }
    const console = { organization: slug, environment: consoleEnvironment }
    commands.push(go('Console', organization.name, listHref(console)))
    if (slug === place.organization) commands.push(go('API keys', organization.name, keysHref(console)))
    if (slug === place.organization) {
      for (const section of sectionsFor(organization))
        if (section.slug !== 'keys')
          commands.push(go(section.label, organization.name, organizationHref(place, section.slug)))
    }
    if (slug === place.organization && session.isOperator) {
      commands.push(go('Cluster', 'Nodes', clusterHref(console)))
    }
  }
  commands.push(go('Your account', session.user.email, accountHref()))
  if (session.developmentTools) {
    const label = 'Simulate Interval restart'
    commands.push({ id: 'restart', label, hint: 'Development', kind: 'simulate-restart' })
  }
  commands.push({
    id: 'single-keys',
    label: `Switch single keys ${hasSingleKeys ? 'off' : 'on'}`,
    hint: '/ commands, g h home, g s account',
    kind: 'single-keys',
  })
  return [...commands, { id: 'sign-out', label: 'Sign out', hint: session.user.email, kind: 'sign-out' }]
}

/** The commands that fit what was typed, best first. */
export function fittingCommands(commands: readonly Command[], query: string): Command[] {
  const wanted = wordsOf(query)
  const fits = commands.filter(({ label, hint }) => {
    const words = [...wordsOf(label), ...wordsOf(hint)]
    return wanted.every(part => words.some(word => word.startsWith(part)))
  })
  const beginning = query.trim().toLowerCase()
  const isFirst = ({ label }: Command): boolean => label.toLowerCase().startsWith(beginning)
  return cut([...fits.filter(isFirst), ...fits.filter(command => !isFirst(command))])
}

/** Of many, what hosts offer gives way: it is found by typing, but who does not know that a thing exists cannot type it. */
function cut(commands: readonly Command[]): Command[] {
  const isEntry = ({ kind }: Command): boolean => kind === 'action' || kind === 'page'
  const places = commands.filter(({ kind }) => kind === 'place').slice(0, shownMax / 2)
  const deeds = commands.filter(command => !isEntry(command) && command.kind !== 'place')
  const kept = new Set([...deeds, ...places, ...commands.filter(isEntry)].slice(0, shownMax))
  return commands.filter(command => kept.has(command))
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(word => word !== '')
}
