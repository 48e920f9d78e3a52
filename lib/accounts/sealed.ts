/**
 * Texts that the table holds sealed: AES-256-GCM under a key that is derived from the server's own secret for one purpose.
 * A sealed text opens only where it was put: it is bound to the id of its row.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16

export interface Sealing {
  seal(place: string, plain: string): string
  /** Null when it was sealed with another secret, elsewhere, or not at all. */
  unseal(place: string, sealed: string): string | null
}

/** `secret` is the server's own; `purpose` keeps keys of different uses apart. */
export function createSealing(secret: string, purpose: string): Sealing {
  const key = Buffer.from(hkdfSync('sha256', secret, '', purpose, 32))
  return {
    seal(place, plain) {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(place))
      const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
    },
    unseal(place, sealed) {
      const bytes = Buffer.from(sealed, 'base64url')
      const tag = bytes.subarray(nonceBytes, nonceBytes + tagBytes)
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
          authTagLength: tagBytes,
        })
        decipher.setAAD(Buffer.from(place)).setAuthTag(tag)
        const plain = Buffer.concat([
          decipher.update(bytes.subarray(nonceBytes + tagBytes)),
          decipher.final(),
        ])
        return plain.toString('utf8')
      } catch {
        return null
      }
    },
  }
}
