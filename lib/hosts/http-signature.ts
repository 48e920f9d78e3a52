/**
 * How an HTTP host can tell that a request is ours: a header with the time and an HMAC-SHA256 over time and body, keyed
 * with a secret of that HTTP host. SDKs do not look at it; a proxy or a handler before them can.
 *
 * The secret is derived from the secret of the installation, so that every node knows it and none stores it. It changes
 * with that secret.
 */
import { createHmac } from 'node:crypto'
import type { HttpHostId } from '../ids.js'

export const signatureHeader = 'interval-signature'

/** The secret of one HTTP host: 43 characters of base64url. */
export function httpHostSecret(installationSecret: string, id: HttpHostId): string {
  return createHmac('sha256', installationSecret).update(`http-host:${id}`).digest('base64url')
}

/** `t=<seconds since 1970>,v1=<hex of HMAC-SHA256(secret, "<seconds>.<body>")>` */
export function signatureOf(secret: string, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1_000)
  const digest = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')
  return `t=${seconds},v1=${digest}`
}
