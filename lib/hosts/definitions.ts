/** What a host says it serves, normalised from what its SDK version sends. Stored once per content. */
import { createHash } from 'node:crypto'

/** Who may run or open it, as written in the host's code. Absent: inherited from the nearest page above. */
export type AccessRule = 'entire-organization' | { readonly teams: readonly string[] }

export interface ActionDefinition {
  /** Full path, e.g. `users/create`. */
  readonly slug: string
  /** Slug of the page it is in. */
  readonly parent: string | null
  readonly name: string | null
  readonly description: string | null
  readonly backgroundable: boolean
  readonly warnOnClose: boolean
  readonly unlisted: boolean
  readonly access: AccessRule | null
}

export interface PageDefinition {
  /** Full path. */
  readonly slug: string
  readonly parent: string | null
  readonly name: string
  readonly description: string | null
  /** It has a layout of its own; otherwise it is only a folder. */
  readonly hasHandler: boolean
  readonly unlisted: boolean
  readonly access: AccessRule | null
}

export interface Definitions {
  readonly actions: readonly ActionDefinition[]
  readonly pages: readonly PageDefinition[]
}

/** Two hosts with the same declarations have the same digest. */
export function digestOf(definitions: Definitions): string {
  return createHash('sha256').update(JSON.stringify(definitions)).digest('base64url').slice(0, 22)
}

/** The last part of a path, shown where a name is missing. */
export function lastPart(slug: string): string {
  return slug.slice(slug.lastIndexOf('/') + 1)
}
