/** An authenticator app for tests. */
import { codeOfStep } from '../../lib/accounts/one-time-codes.js'

const stepMs = 30_000

/** The bytes of a secret as people type it (base32). */
export function bytesOf(text: string): Buffer {
  const bits = [...text]
    .map(character => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(character).toString(2).padStart(5, '0'))
    .join('')
  const bytes = bits.match(/.{8}/g) ?? []
  return Buffer.from(bytes.map(byte => Number.parseInt(byte, 2)))
}

/** What the app shows. `aside` names another step than the present one, where that was used up. */
export function codeAt(secret: string, nowMs: number, aside = 0): string {
  return codeOfStep(bytesOf(secret), Math.floor(nowMs / stepMs) + aside)
}
