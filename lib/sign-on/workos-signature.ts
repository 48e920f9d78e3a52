/**
 * Whether a webhook comes from WorkOS: `WorkOS-Signature: t=<ms>, v1=<HMAC-SHA256 of "<ms>.<body>" in hex>`.
 *
 * Invariant: what is not signed with our secret, or was signed long ago, is nothing. What is sent twice within that time
 * is known by the id of the event; that is for whoever takes it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

/** As WorkOS' own libraries have it. */
export const toleranceMs = 180_000
const headerCharactersMax = 500

/** Null for a forged or an old one; else the parsed body. */
export function verifiedEvent(
  header: string | undefined,
  body: string,
  secret: string,
  nowMs: number,
): unknown | null {
  if (header === undefined || header.length > headerCharactersMax) return null
  const parts = new Map(header.split(',').map(part => part.trim().split('=', 2) as [string, string]))
  const at = parts.get('t') ?? ''
  const given = Buffer.from(parts.get('v1') ?? '', 'hex')
  if (!/^\d{1,16}$/.test(at)) return null
  const expected = createHmac('sha256', secret).update(`${at}.${body}`).digest()
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  if (Math.abs(nowMs - Number(at)) > toleranceMs) return null
  try {
    return JSON.parse(body) as unknown
  } catch {
    return null
  }
}
