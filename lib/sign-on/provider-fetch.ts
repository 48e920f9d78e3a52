/**
 * `fetch` for providers of sign-on, over our own room for requests to addresses that others name. An administrator typed
 * the issuer, and the issuer's document names the other addresses: none of them reaches what only this machine can.
 */
import type { Outbound } from '../outbound/index.js'

const timeoutMs = 10_000
/** Documents, keys and tokens are small. */
const answerBytesMax = 262_144

/** What `openid-client` and our own calls ask with. */
export type ProviderFetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: unknown
    readonly signal?: AbortSignal | undefined
  },
) => Promise<Response>

/** Redirects are not followed. Rejects with `OutboundError`. */
export function providerFetch(outbound: Pick<Outbound, 'request'>): ProviderFetch {
  return async (url, { method, headers, body, signal }) => {
    const text = textOf(body)
    const answer = await outbound.request({
      method,
      url,
      headers: { 'user-agent': 'interval-server', ...headers },
      timeoutMs,
      responseBytesMax: answerBytesMax,
      ...(text !== undefined && { body: text }),
      ...(signal && { signal }),
    })
    const answered = new Headers()
    for (const [name, value] of Object.entries(answer.headers)) {
      for (const one of [value ?? []].flat()) answered.append(name, one)
    }
    const hasBody = ![101, 204, 205, 304].includes(answer.status)
    return new Response(hasBody ? new Uint8Array(answer.body) : null, {
      status: answer.status,
      headers: answered,
    })
  }
}

function textOf(body: unknown): string | Buffer | undefined {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string') return body
  if (body instanceof URLSearchParams) return body.toString()
  if (body instanceof Uint8Array) return Buffer.from(body)
  throw new Error('a body that cannot be sent')
}
