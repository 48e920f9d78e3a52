/**
 * A directory as one person may see it: the declarations of all its hosts merged (the newest host that is connected
 * wins), access rules applied, and the hosts that could take a run now.
 *
 * An action or page has one rule of its own: what the code of its newest host says, else what people have set and the
 * database keeps. The database also keeps a copy of what code said, which counts only where nobody declares the thing
 * any more: a page whose host is forgotten still guards what other hosts put into it.
 *
 * People may also show an action under another name, or put it away: then nobody is offered it any more.
 */
import {
  type AccessLevel,
  type AccessRule,
  type Actor,
  accessLevel,
  noStoredRules,
  type StoredRule,
  type StoredRules,
} from '../accounts/index.js'
import type { Directory, DirectoryAction, DirectoryPage } from '../clients/wire.js'
import type { InstanceId } from '../ids.js'
import type { Access, DeclaredAction, DeclaredPage } from '../sdk/index.js'
import { lastPart, parentPath } from './definitions.js'
import type { DirectoryHost, DirectoryState } from './directory.js'

/**
 * One declared thing and who serves it right now, newest host last: hosts that are connected, or, where there is none,
 * HTTP hosts that can be reached.
 */
export interface Offer<Definition> {
  readonly definition: Definition
  readonly hosts: readonly DirectoryHost[]
}

export class DirectoryView {
  readonly #actions = new Map<string, { definition: DeclaredAction; hosts: DirectoryHost[] }>()
  readonly #pages = new Map<string, { definition: DeclaredPage; hosts: DirectoryHost[] }>()
  readonly #hosts: number

  constructor(state: DirectoryState, isConnected: (instanceId: InstanceId) => boolean) {
    const known = [...state.hosts.values()].sort((a, b) => a.order - b.order)
    const away: DirectoryHost[] = []
    const reachable: DirectoryHost[] = []
    const connected: DirectoryHost[] = []
    for (const host of known) {
      if (host.isReachable !== undefined) (host.isReachable ? reachable : away).push(host)
      else (isConnected(host.instanceId) ? connected : away).push(host)
    }
    this.#hosts = reachable.length + connected.length
    // The later ones win.
    for (const host of away) this.#add(state, host, false)
    for (const host of [...reachable, ...connected]) this.#add(state, host, true)
  }

  #add(state: DirectoryState, host: DirectoryHost, isConnected: boolean): void {
    const definitions = state.definitions.get(host.digest)
    if (!definitions) return
    const takesRuns = isConnected && !host.shuttingDown
    for (const definition of definitions.actions) offer(this.#actions, definition, host, takesRuns)
    for (const definition of definitions.pages) offer(this.#pages, definition, host, takesRuns)
  }

  /** The action of this path, if the person may run it. */
  action(slug: string, actor: Actor, stored: StoredRules = noStoredRules): Offer<DeclaredAction> | null {
    const found = this.#actions.get(slug)
    const definition = found && asShown(found.definition, stored)
    return found && definition && isRunning(this.#levelOf(actor, definition, stored))
      ? { ...found, definition }
      : null
  }

  /** The page of this path, if it has a layout and the person may open it. */
  page(slug: string, actor: Actor, stored: StoredRules = noStoredRules): Offer<DeclaredPage> | null {
    const found = this.#pages.get(slug)
    if (!found?.definition.hasHandler) return null
    return isRunning(this.#level(actor, [], slug, stored)) ? found : null
  }

  /** True when there is an action, or a page with a layout, whoever may use it. */
  has(kind: 'action' | 'page', slug: string): boolean {
    return kind === 'action' ? this.#actions.has(slug) : this.#pages.get(slug)?.definition.hasHandler === true
  }

  /** Everything the person may see. Folders show while something inside is allowed. */
  directory(actor: Actor, stored: StoredRules = noStoredRules): Directory {
    const actions: DirectoryAction[] = []
    const visible = new Set<string>()
    for (const { definition: declared, hosts } of this.#actions.values()) {
      const definition = asShown(declared, stored)
      if (!definition) continue
      const level = this.#levelOf(actor, definition, stored)
      if (level === 'none') continue
      const viewOnly = !isRunning(level)
      actions.push({
        ...listedAction(definition, hosts.length > 0 && !viewOnly),
        ...(viewOnly && { viewOnly }),
      })
      for (let path = definition.groupSlug; path !== null; path = parentPath(path)) visible.add(path)
    }
    const mayOpen = new Set<string>()
    for (const { definition } of this.#pages.values()) {
      if (!definition.hasHandler) continue
      if (!isRunning(this.#level(actor, [], definition.slug, stored))) continue
      mayOpen.add(definition.slug)
      for (let path: string | null = definition.slug; path !== null; path = parentPath(path))
        visible.add(path)
    }
    const pages: DirectoryPage[] = []
    for (const { definition, hosts } of this.#pages.values()) {
      if (!visible.has(definition.slug)) continue
      pages.push(listedPage(definition, hosts.length > 0, mayOpen.has(definition.slug)))
    }
    return { actions: actions.sort(byName), pages: pages.sort(byName), hosts: this.#hosts }
  }

  #levelOf(actor: Actor, definition: DeclaredAction, stored: StoredRules): AccessLevel {
    const own = ownRule(definition, stored.actions.get(definition.slug))
    return this.#level(actor, [own], definition.groupSlug, stored)
  }

  /** The own rule counts, else the nearest one above, else it is open. */
  #level(
    actor: Actor,
    own: readonly (AccessRule | null)[],
    from: string | null,
    stored: StoredRules,
  ): AccessLevel {
    const chain = [...own]
    for (let path = from; path !== null; path = parentPath(path)) {
      chain.push(ownRule(this.#pages.get(path)?.definition, stored.pages.get(path)))
    }
    return accessLevel(actor, chain)
  }
}

/** An action with what people have set about it; null for one that is put away. */
function asShown(definition: DeclaredAction, { overrides }: StoredRules): DeclaredAction | null {
  const set = overrides.get(definition.slug)
  if (!set) return definition
  if (set.isArchived) return null
  return {
    ...definition,
    name: set.name ?? definition.name,
    description: set.description ?? definition.description,
    backgroundable: set.backgroundable ?? definition.backgroundable,
  }
}

/** Whoever administers an action runs it too. */
function isRunning(level: AccessLevel): boolean {
  return level === 'run' || level === 'administer'
}

/** The rule set on one thing itself: code first, then people, then what code said when it was last declared. */
function ownRule(
  declared: { access: Access | null } | undefined,
  stored: StoredRule | undefined,
): AccessRule | null {
  const inCode = ruleOf(declared?.access ?? null)
  if (inCode !== null || stored === undefined) return inCode
  return declared !== undefined && stored.inCode ? null : stored.rule
}

/** A rule written in code lets the members of its teams run. */
function ruleOf(access: Access | null): AccessRule | null {
  if (access === null) return null
  if (access === 'entire-organization') return { availability: 'ORGANIZATION' }
  return {
    availability: 'GROUPS',
    teams: Object.fromEntries(access.teams.map(team => [team, 'RUNNER' as const])),
  }
}

function offer<Definition extends { slug: string }>(
  offers: Map<string, { definition: Definition; hosts: DirectoryHost[] }>,
  definition: Definition,
  host: DirectoryHost,
  takesRuns: boolean,
): void {
  const before = offers.get(definition.slug)
  // A host that is connected already starts sooner than one that must be woken.
  const isFirstConnected = takesRuns && !isHttpHost(host) && before?.hosts.some(isHttpHost)
  const hosts = isFirstConnected ? [] : (before?.hosts ?? [])
  if (takesRuns) hosts.push(host)
  offers.set(definition.slug, { definition, hosts })
}

export function isHttpHost(host: DirectoryHost): boolean {
  return host.isReachable !== undefined
}

function byName(a: { name: string; slug: string }, b: { name: string; slug: string }): number {
  return a.name.localeCompare(b.name) || a.slug.localeCompare(b.slug)
}

function listedAction(definition: DeclaredAction, online: boolean): DirectoryAction {
  const { slug, groupSlug, description, unlisted, backgroundable, warnOnClose } = definition
  const name = definition.name ?? lastPart(slug)
  return { slug, parent: groupSlug, name, description, unlisted, backgroundable, warnOnClose, online }
}

function listedPage(definition: DeclaredPage, online: boolean, mayOpen: boolean): DirectoryPage {
  const { slug, name, description, unlisted, hasHandler } = definition
  return { slug, parent: parentPath(slug), name, description, unlisted, hasHandler, mayOpen, online }
}
