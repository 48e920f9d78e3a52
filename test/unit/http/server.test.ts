import { connect } from 'node:net'
import t from 'tap'
import type { AccountsService } from '../../../lib/accounts/index.js'
import { createPeer } from '../../../lib/http/peer.js'
import { ManualClock } from '../../support/database.js'
import { testServer } from './test-server.js'

/** No database: none of these requests gets that far. */
const accounts = {
  clock: new ManualClock(),
  audit() {},
  authenticateSession: async () => null,
  database: { healthy: async () => true },
} as unknown as AccountsService

const reasons: string[] = []
const { ask, origin, http } = await testServer(t, accounts, {
  health: { notReady: () => reasons, commit: 'abc' },
})
http.route('POST', '/api/v1/echo', { caller: 'browser' }, async () => ({ status: 200, body: {} }))
http.route('GET', '/api/v1/fails', { caller: 'open' }, async () => {
  throw new Error('a secret of the inside')
})

t.test('health', async t => {
  t.equal((await ask('GET', '/health/live')).status, 200)
  t.match(await ask('GET', '/health/ready'), { status: 200, body: { ready: true, reasons: [] } })
  t.match(await ask('GET', '/health-check'), { status: 200, body: { db: true } })
  reasons.push('draining')
  t.match(await ask('GET', '/health/ready'), { status: 503, body: { ready: false, reasons: ['draining'] } })
  t.equal((await ask('GET', '/health-check')).status, 503)
  t.match(await ask('GET', '/health-check/app'), { status: 503, text: 'draining' })
  reasons.pop()
  t.equal((await ask('GET', '/health-check/app')).text, 'OK')
  t.equal((await ask('GET', '/health-check/rev')).text, 'abc')
  t.equal((await ask('HEAD', '/health/live')).text, '')
})

t.test('tools for developing are there only where they were switched on', async t => {
  t.equal((await ask('GET', '/api/system/reboot')).status, 404)
  let count = 0
  const disconnectAll = async (): Promise<void> => {
    count += 1
  }
  const open = await testServer(t, accounts, { development: { disconnectAll } })
  t.equal((await open.ask('GET', '/api/system/reboot')).status, 200)
  t.equal(count, 1)
})

t.test('pages, files, and nothing', async t => {
  const html = { accept: 'text/html,*/*' }
  for (const path of ['/', '/dashboard/ours/actions/a', '/health-check/nothing']) {
    const page = await ask('GET', path, { headers: html })
    t.match(page.text, 'Dashboard', path)
    const policy = page.headers.get('content-security-policy') ?? ''
    t.match(policy, /script-src 'self';/)
    t.match(policy, /frame-ancestors 'none'/)
    t.equal(page.headers.get('cache-control'), 'no-cache')
    const again = await ask('GET', path, {
      headers: { ...html, 'if-none-match': page.headers.get('etag') ?? '' },
    })
    t.equal(again.status, 304)
  }
  const asset = await ask('GET', '/assets/main-Ab3dE6gH.js', { headers: { 'accept-encoding': 'identity' } })
  t.equal(asset.text, 'export {}')
  t.match(asset.headers.get('cache-control'), /immutable/)
  const head = await ask('HEAD', '/assets/main-Ab3dE6gH.js', { headers: { 'accept-encoding': 'br' } })
  t.equal(head.headers.get('content-encoding'), 'br')
  for (const [method, path] of [
    ['GET', '/nothing'],
    ['GET', '/assets/nothing.js'],
    ['GET', '/assets/main-Ab3dE6gH.js.br'],
    ['POST', '/api/nothing'],
    ['PUT', '/health/live'],
  ] as const) {
    const answer = await ask(method, path)
    t.equal(answer.status, 404, path)
    t.same(answer.body, { message: 'Not Found' })
  }
})

t.test('headers of every answer', async t => {
  const answer = await ask('GET', '/nothing')
  t.match(Object.fromEntries(answer.headers), {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy': /default-src 'none'/,
    'cache-control': 'no-store',
  })
  t.notOk(answer.headers.has('server') || answer.headers.has('x-powered-by'), 'no banner')
  t.notOk(answer.headers.has('strict-transport-security'))
  const safe = await testServer(t, accounts, { appUrl: 'https://interval.example.com' })
  const secure = await safe.ask('DELETE', '/api/v1/session', {
    headers: { origin: 'https://interval.example.com' },
  })
  t.match(
    secure.headers.get('set-cookie'),
    /^__Host-interval_session=; Path=\/; HttpOnly; SameSite=Lax; Secure;/,
  )
  t.match(secure.headers.get('strict-transport-security'), /max-age=31536000/)
  const foreign = await safe.ask('DELETE', '/api/v1/session', { headers: { origin: safe.origin } })
  t.equal(foreign.status, 403, 'with a public address, only that is our own')
})

t.test('bodies are bounded', async t => {
  const headers = { origin }
  http.route('POST', '/api/v1/body', { caller: 'browser' }, async context => {
    const { z } = await import('zod')
    return { status: 200, body: await context.body(z.object({ a: z.string() })) }
  })
  const post = (raw: string) => ask('POST', '/api/v1/body', { raw, headers })
  t.same((await post('{"a":"b","__proto__":{"admin":true}}')).body, { a: 'b' })
  t.match(await post('{"a":'), { status: 400, body: { code: 'bad-request', message: /not valid JSON/ } })
  t.match(await post('[1]'), { status: 400, body: { code: 'bad-request' } })
  t.match(await post('{"a":1}'), { status: 400, body: { fields: { a: String } } })
  t.match(await post(`{"a":${'['.repeat(100)}${']'.repeat(100)}}`), {
    status: 400,
    body: { message: /deeply/ },
  })
  t.match(await post(JSON.stringify({ a: 'x'.repeat(1_100_000) })), {
    status: 413,
    body: { code: 'too-large' },
  })
})

t.test('what handlers throw stays inside', async t => {
  const answer = await ask('GET', '/api/v1/fails')
  t.equal(answer.status, 500)
  t.match(answer.body, { code: 'internal', message: /reference [0-9a-f-]{36}/ })
  t.notMatch(answer.text, 'secret')
})

t.test('strange requests get an error and do no harm', async t => {
  const port = Number(new URL(origin).port)
  const raw = (text: string): Promise<string> =>
    new Promise(fulfil => {
      const socket = connect(port, '127.0.0.1')
      let answer = ''
      socket.on('data', data => {
        answer += data.toString()
      })
      socket.on('error', () => {})
      socket.on('close', () => fulfil(answer))
      socket.end(text)
    })
  const end = ' HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  const strange: [string, RegExp][] = [
    [`TRACE /${end}`, /^HTTP\/1.1 405/],
    [`OPTIONS *${end}`, /^HTTP\/1.1 405/],
    [`GET //evil.example/x${end}`, /^HTTP\/1.1 400/],
    [`GET http://[${end}`, /^HTTP\/1.1 400/],
    [`GET /%ff%${end}`, /^HTTP\/1.1 400/],
    [`GET /assets/../../package.json${end}`, /^HTTP\/1.1 400/],
    [`GET /assets/%2e%2e/package.json${end}`, /^HTTP\/1.1 400/],
    [`GET /assets/..%2fpackage.json${end}`, /^HTTP\/1.1 404/],
    [`GET /${'a'.repeat(10_000)}${end}`, /^HTTP\/1.1 400/],
    ['nonsense\r\n\r\n', /^HTTP\/1.1 400/],
  ]
  for (const [text, pattern] of strange) t.match(await raw(text), pattern, text.slice(0, 40))
  t.equal((await ask('GET', '/health/live')).status, 200)
})

t.test('addresses are believed only from trusted proxies', async t => {
  const request = (remoteAddress: string, forwarded: string, host = 'inner') =>
    ({
      socket: { remoteAddress },
      headers: { 'x-forwarded-for': forwarded, 'x-forwarded-host': 'public.example', host },
    }) as never
  const peer = createPeer({ trustedProxies: ['127.0.0.1', '10.0.0.0/8'] })
  t.equal(peer.address(request('192.0.2.1', '1.1.1.1')), '192.0.2.1')
  t.equal(peer.address(request('127.0.0.1', '1.1.1.1')), '1.1.1.1')
  t.equal(peer.address(request('::ffff:127.0.0.1', '6.6.6.6, 1.1.1.1, 10.1.2.3')), '1.1.1.1')
  t.equal(peer.address(request('127.0.0.1', 'nonsense')), '127.0.0.1')
  t.ok(peer.sameOrigin(request('127.0.0.1', ''), 'https://public.example'))
  t.notOk(peer.sameOrigin(request('192.0.2.1', ''), 'https://public.example'))
  t.ok(peer.sameOrigin(request('192.0.2.1', ''), 'http://inner'))
  const beside = createPeer({ trustedProxies: ['loopback'] })
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
    t.equal(beside.address(request(address, '1.1.1.1')), '1.1.1.1', address)
  t.equal(beside.address(request('10.0.0.1', '1.1.1.1')), '10.0.0.1')
  t.throws(() => createPeer({ trustedProxies: ['everybody'] }), /not an address/)
  t.throws(() => createPeer({ trustedProxies: ['10.0.0.0/99'] }), /not an address/)
})
