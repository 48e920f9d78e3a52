/**
 * The list of actions and pages as a person sees it. A node sends everything that this person may see, flat; here it
 * becomes the entries of one level. Unlisted things are reachable by address but in no list; a folder in which
 * nothing can be reached is left out.
 */
import type { Directory, DirectoryAction, DirectoryPage } from '../clients/wire.js'

export type Entry =
  | {
      kind: 'action'
      slug: string
      name: string
      description: string | null
      online: boolean
      viewOnly: boolean
    }
  | { kind: 'page'; slug: string; name: string; description: string | null; online: boolean }

export const emptyDirectory: Directory = { actions: [], pages: [], hosts: 0 }

/** Entries inside a page, or at the top for null, pages first, by name. */
export function entriesOf(directory: Directory, parent: string | null): Entry[] {
  const pages = directory.pages
    .filter(page => !page.unlisted && parentOf(directory, page) === parent && leadsSomewhere(directory, page))
    .map(page => ({ kind: 'page' as const, ...described(page) }))
  const actions = directory.actions
    .filter(action => !action.unlisted && parentOf(directory, action) === parent)
    .map(action => ({ kind: 'action' as const, ...described(action), viewOnly: action.viewOnly === true }))
  return [...pages.sort(byName), ...actions.sort(byName)]
}

export function actionOf(directory: Directory, slug: string): DirectoryAction | undefined {
  return directory.actions.find(action => action.slug === slug)
}

export function pageOf(directory: Directory, slug: string): DirectoryPage | undefined {
  return directory.pages.find(page => page.slug === slug)
}

/** The pages around a slug, outermost first. */
export function ancestorsOf(directory: Directory, slug: string): DirectoryPage[] {
  return directory.pages
    .filter(page => slug.startsWith(`${page.slug}/`))
    .sort((a, b) => a.slug.length - b.slug.length)
}

function described(item: DirectoryAction | DirectoryPage) {
  return {
    slug: item.slug,
    name: item.name === '' ? (item.slug.split('/').at(-1) ?? item.slug) : item.name,
    description: item.description,
    online: item.online,
  }
}

/** A parent that is not declared itself does not hide its children. */
function parentOf(directory: Directory, item: { parent: string | null }): string | null {
  return item.parent !== null && pageOf(directory, item.parent) ? item.parent : null
}

function leadsSomewhere(directory: Directory, page: DirectoryPage, depth = 0): boolean {
  if (page.hasHandler && page.mayOpen) return true
  if (directory.actions.some(action => action.parent === page.slug && !action.unlisted)) return true
  // Slugs cannot form a circle, but a hostile host may send one.
  if (depth > 32) return false
  return directory.pages.some(
    inner => inner.parent === page.slug && !inner.unlisted && leadsSomewhere(directory, inner, depth + 1),
  )
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name.localeCompare(b.name)
}
