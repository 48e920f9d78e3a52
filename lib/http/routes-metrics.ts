/**
 * `/metrics` for Prometheus: read from this machine, or with the bearer token `metrics:token`.
 *
 * What can go wrong: a proxy on this machine makes everybody look local. So a request that says that it was forwarded
 * is not local, whatever it says besides; behind a proxy that keeps that to itself, the token is for the scraper and
 * `/metrics` is for the proxy to hide.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { BlockList, isIPv6 } from 'node:net'
import { AppError } from '../errors.js'
import type { Secret } from '../log.js'
import type { HttpServer } from './server.js'

export interface MetricsOptions {
  readonly token: Secret | null
  text(): Promise<{ readonly contentType: string; readonly text: string }>
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6')

const forwardedHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'] as const

export function addMetricsRoute(http: HttpServer, metrics: MetricsOptions): void {
  http.route('GET', '/metrics', { caller: 'open', isAlways: true }, async ({ request, bearer }) => {
    if (!isLocal(request) && !isToken(bearer(), metrics.token)) {
      throw new AppError(
        'forbidden',
        'Metrics are for this machine, or for who has the bearer token metrics:token.',
      )
    }
    const { contentType, text } = await metrics.text()
    return { status: 200, headers: { 'content-type': contentType, 'cache-control': 'no-store' }, body: text }
  })
}

/** True when the request was made on this machine, as far as can be known. */
function isLocal(request: IncomingMessage): boolean {
  const address = request.socket.remoteAddress
  return (
    address !== undefined &&
    loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') &&
    forwardedHeaders.every(name => request.headers[name] === undefined)
  )
}

function isToken(given: string | undefined, token: Secret | null): boolean {
  if (given === undefined || token === null) return false
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(token.reveal()))
}
