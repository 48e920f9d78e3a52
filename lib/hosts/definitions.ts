/** What a host says it serves. Stored once per content; see the SDK's declarations. */
import { createHash } from 'node:crypto'
import type { Declaration, SdkVersion } from '../sdk/index.js'

export type Definitions = Pick<Declaration, 'actions' | 'pages'>

/** What counts of a declaration: older SDKs do not say in code who may run what. */
export function definitionsFrom({ actions, pages }: Definitions, sdk: SdkVersion): Definitions {
  return sdk.codePermissions ? { actions, pages } : withoutAccess({ actions, pages })
}

export function withoutAccess(definitions: Definitions): Definitions {
  return {
    actions: definitions.actions.map(action => ({ ...action, access: null })),
    pages: definitions.pages.map(page => ({ ...page, access: null })),
  }
}

/** Two hosts with the same declarations have the same digest. */
export function digestOf(definitions: Definitions): string {
  return createHash('sha256')
    .update(JSON.stringify([definitions.actions, definitions.pages]))
    .digest('base64url')
    .slice(0, 22)
}

/** The last part of a path, shown where a name is missing. */
export function lastPart(slug: string): string {
  return slug.slice(slug.lastIndexOf('/') + 1)
}

/** The path without its last part; null at the top. */
export function parentPath(slug: string): string | null {
  const end = slug.lastIndexOf('/')
  return end < 0 ? null : slug.slice(0, end)
}
