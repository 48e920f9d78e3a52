/**
 * Codes of authenticator apps: six digits out of a shared secret and the time (RFC 6238 with SHA-1 and 30 s, which is
 * what all apps speak). Pure.
 *
 * Invariant: a code is good for the step it was made in and one step to either side, since clocks differ, and never for
 * a step that was used or passed over before.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

const stepMs = 30_000
const stepsAside = 1
const digits = 6
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The code of one time step. */
export function codeOfStep(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const digest = createHmac('sha1', secret).update(counter).digest()
  const offset = digest.readUInt8(digest.length - 1) & 0x0f
  const number = digest.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/** The step a code belongs to, if it may be used now; null otherwise. `lastStep` is the last one that was used. */
export function stepOfCode(
  secret: Buffer,
  code: string,
  nowMs: number,
  lastStep: number | null,
): number | null {
  if (!isCode(code)) return null
  const now = Math.floor(nowMs / stepMs)
  let found: number | null = null
  for (let step = now - stepsAside; step <= now + stepsAside; step += 1) {
    const matches = timingSafeEqual(Buffer.from(codeOfStep(secret, step)), Buffer.from(code))
    if (matches && (lastStep === null || step > lastStep)) found = step
  }
  return found
}

/** True for text that can be a code at all. */
export function isCode(text: string): boolean {
  return /^[0-9]{6}$/.test(text)
}

/** Bytes as people type them: base32 without padding. */
export function base32(bytes: Buffer): string {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  let text = ''
  for (let at = 0; at < bits.length; at += 5)
    text += alphabet[Number.parseInt(bits.slice(at, at + 5).padEnd(5, '0'), 2)]
  return text
}

/** What an authenticator app reads from a QR code. */
export function appUrl(issuer: string, account: string, secret: Buffer): string {
  const query = new URLSearchParams({ secret: base32(secret), issuer })
  return `otpauth://totp/${encodeURIComponent(issuer)}:${encodeURIComponent(account)}?${query}`
}
