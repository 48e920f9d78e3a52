/**
 * What must be remembered of somebody who has left for a provider, until they are back: in their own browser, sealed. So
 * any node takes them back, and nobody comes back with what another browser was given.
 */
import { z } from 'zod'
import type { Sealing } from '../accounts/index.js'
import { readCookie } from './cookies.js'

const plainName = 'interval_sign_on'
/** How long the sign-in at the provider may take, in ms. */
export const wayMsMax = 600_000
const place = 'way'

const wayShape = z.object({
  kind: z.enum(['oidc', 'google', 'workos', 'workos-google']),
  /** Id of the organization whose provider it is. */
  organization: z.string().nullable(),
  state: z.string().min(20),
  nonce: z.string(),
  verifier: z.string(),
  /** Where they were going. */
  from: z.string().nullable(),
  invitation: z.string().nullable(),
  /** Set for somebody who is in and proves once more who they are: the step it is for, or '' for none. */
  step: z.string().nullable(),
  expiresAtMs: z.number(),
})

export type Way = z.infer<typeof wayShape>

export interface WayCookie {
  set(way: Way): string
  clear(): string
  /** Null when there is none, it was sealed by somebody else, or is too old. */
  read(header: string | undefined, nowMs: number): Way | null
}

export function wayCookie(sealing: Sealing, secure: boolean): WayCookie {
  const name = secure ? `__Host-${plainName}` : plainName
  // Lax: it must come along when the provider sends the browser back.
  const attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  return {
    set: way =>
      `${name}=${sealing.seal(place, JSON.stringify(way))}; ${attributes}; Max-Age=${wayMsMax / 1000}`,
    clear: () => `${name}=; ${attributes}; Max-Age=0`,
    read(header, nowMs) {
      const plain = sealing.unseal(place, readCookie(header, name) ?? '')
      if (plain === null) return null
      const way = wayShape.safeParse(JSON.parse(plain.toString()))
      return way.success && way.data.expiresAtMs > nowMs ? way.data : null
    },
  }
}
