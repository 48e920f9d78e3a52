/**
 * The transport `http`: calls a receiver over HTTP or HTTPS, in the shape that Skyring's receivers know, with headers of
 * ours that name the attempt.
 *
 * Success is a status below 300; redirects are not followed. `x-timer-firing` is the same however often one attempt is
 * made, so a receiver that remembers it does nothing twice.
 */
import { createHmac } from 'node:crypto'
import { limits } from '../limits.js'
import type { Outbound } from '../outbound/index.js'
import { givenData } from './definition.js'
import type { Transport } from './firings.js'
import { type Firing, firingId } from './timer.js'

export interface HttpTransportOptions {
  readonly outbound: Outbound
  /** Signs calls when given. */
  readonly secret?: string | undefined
  readonly version: string
}

const methods: ReadonlySet<string> = new Set(['post', 'put', 'patch', 'delete', 'get', 'options', 'head'])
/** Receivers that look at who calls know this name. */
const compatibleWith = 'skyring/11.1.0'

export function httpTransport({ outbound, secret, version }: HttpTransportOptions): Transport {
  const agent = `${compatibleWith} interval-server/${version}`
  const call = async (firing: Firing): Promise<void> => {
    const { timer } = firing
    const method = timer.callback.method.toLowerCase()
    if (!methods.has(method)) throw new Error(`the method "${method.slice(0, 32)}" is none of HTTP`)
    const { url, body, contentType } = contentOf(firing, method)
    const id = firingId(firing)
    const headers: Record<string, string> = {
      accept: '*/*',
      'user-agent': agent,
      'x-timer-id': headerText(timer.id),
      'x-timer-firing': headerText(id),
      'x-timer-attempt': String(firing.attempt),
    }
    if (contentType !== undefined) headers['content-type'] = contentType
    if (secret !== undefined) {
      const signed = createHmac('sha256', secret).update(`${id}.${body}`).digest('hex')
      headers['x-timer-signature'] = `sha256=${signed}`
    }
    const { status } = await outbound.request({
      method: method.toUpperCase(),
      url,
      headers,
      timeoutMs: timer.responseMs ?? limits.timerResponseMs,
      ...(method !== 'get' && method !== 'head' && { body }),
    })
    if (status > 299) throw new Error(`the receiver answered ${status}`)
  }
  return { call, receiverOf: uri => outbound.originOf(uri) ?? uri }
}

function contentOf(
  { timer: { callback, data } }: Firing,
  method: string,
): { url: string; body: string; contentType?: string } {
  const url = callback.uri
  if (data === undefined) return { url, body: '' }
  if (method === 'get' || method === 'head') {
    if (!data.isJson) return { url, body: '' }
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(givenData(data) as Record<string, unknown>))
      query.set(name, typeof value === 'object' ? JSON.stringify(value) : String(value))
    const text = query.toString()
    return { url: text === '' ? url : `${url}${url.includes('?') ? '&' : '?'}${text}`, body: '' }
  }
  const contentType = data.isJson ? 'application/json' : 'application/x-www-form-urlencoded'
  return { url, body: data.text, contentType }
}

/** Ids are whatever callers choose: what a header cannot hold is escaped. */
function headerText(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text)
}
