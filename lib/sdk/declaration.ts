/**
 * What a host declares: its actions and pages, in one form whatever the SDK's age.
 *
 * A slug that breaks the rules is left out and reported, it never fails the rest. The result is deterministic for the
 * same input, so that unchanged declarations can be recognised by their hash.
 */
import { z } from 'zod'
import { limits } from '../limits.js'

export type Access = 'entire-organization' | { teams: string[] }

export interface DeclaredAction {
  /** Full path: that of the page it is in, `/`, its own name. */
  slug: string
  /** Full path of the page it is in. */
  groupSlug: string | null
  name: string | null
  description: string | null
  backgroundable: boolean
  unlisted: boolean
  warnOnClose: boolean
  /** Null: not set in code. */
  access: Access | null
}

export interface DeclaredPage {
  /** Full path. */
  slug: string
  name: string
  description: string | null
  /** It shows its own layout; otherwise it is only a folder. */
  hasHandler: boolean
  unlisted: boolean
  access: Access | null
}

export interface Declaration {
  actions: DeclaredAction[]
  pages: DeclaredPage[]
  /** As the host wrote them. */
  invalidSlugs: string[]
}

const slugCharactersMax = 512
const actionSlugPattern = /^[-_.a-zA-Z0-9]+$/
const pageSlugPattern = /^[-_.a-zA-Z0-9]+(?:\/[-_.a-zA-Z0-9]+)*$/

export function isActionSlug(slug: string): boolean {
  return slug.length <= slugCharactersMax && actionSlugPattern.test(slug)
}

/** Parts separated by single slashes. */
export function isPageSlug(slug: string): boolean {
  return slug.length <= slugCharactersMax && pageSlugPattern.test(slug)
}

const text = z.string().nullish()
const flag = z.boolean().nullish()
const access = z
  .union([z.literal('entire-organization'), z.object({ teams: z.array(z.string()).max(1000).nullish() })])
  .nullish()

const actionInput = z.object({
  slug: z.string(),
  groupSlug: text,
  name: text,
  description: text,
  backgroundable: flag,
  unlisted: flag,
  warnOnClose: flag,
  access,
})

const pageInput = z.object({
  slug: z.string(),
  name: text,
  description: text,
  hasHandler: flag,
  hasIndex: flag,
  unlisted: flag,
  access,
})

/** The fields of INITIALIZE_HOST and of the HTTP declaration that name actions and pages. */
export const declarationInputs = {
  actions: z.array(actionInput).max(limits.actionsPerHostMax).nullish(),
  groups: z.array(pageInput).max(limits.actionsPerHostMax).nullish(),
  /** Of SDKs older than any published one; slugs in spite of the name. */
  callableActionNames: z.array(z.string()).max(limits.actionsPerHostMax).nullish(),
}

type DeclarationInput = z.output<z.ZodObject<typeof declarationInputs>>

/** Normalises a parsed declaration. Of two entries with one slug the later counts. */
export function declaration(input: DeclarationInput): Declaration {
  const invalidSlugs: string[] = []
  const actions = new Map<string, DeclaredAction>()
  const pages = new Map<string, DeclaredPage>()
  for (const page of input.groups ?? []) {
    if (!isPageSlug(page.slug)) invalidSlugs.push(page.slug.slice(0, slugCharactersMax))
    else pages.set(page.slug, declaredPage(page))
  }
  const named = (input.callableActionNames ?? []).map(slug => ({ slug }))
  for (const action of [...named, ...(input.actions ?? [])] as z.output<typeof actionInput>[]) {
    const groupSlug = action.groupSlug || null
    const slug = groupSlug === null ? action.slug : `${groupSlug}/${action.slug}`
    if (!isActionSlug(action.slug) || (groupSlug !== null && !isPageSlug(groupSlug))) {
      invalidSlugs.push(slug.slice(0, slugCharactersMax))
    } else actions.set(slug, declaredAction(action, slug, groupSlug))
  }
  return { actions: [...actions.values()], pages: [...pages.values()], invalidSlugs }
}

function declaredAction(
  action: z.output<typeof actionInput>,
  slug: string,
  groupSlug: string | null,
): DeclaredAction {
  return {
    slug,
    groupSlug,
    name: action.name || null,
    description: action.description || null,
    backgroundable: action.backgroundable ?? false,
    unlisted: action.unlisted ?? false,
    warnOnClose: action.warnOnClose ?? true,
    access: declaredAccess(action.access),
  }
}

function declaredPage(page: z.output<typeof pageInput>): DeclaredPage {
  return {
    slug: page.slug,
    name: page.name || page.slug,
    description: page.description || null,
    hasHandler: page.hasHandler ?? page.hasIndex ?? false,
    unlisted: page.unlisted ?? false,
    access: declaredAccess(page.access),
  }
}

function declaredAccess(given: z.output<typeof access>): Access | null {
  if (given === null || given === undefined) return null
  return given === 'entire-organization' ? given : { teams: given.teams ?? [] }
}
