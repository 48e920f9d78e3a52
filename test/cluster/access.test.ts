/**
 * Who may not, may not: strangers at the door, ids of other organizations, revoked keys and ended sessions on open
 * sockets, hosts that speak for others. What is denied is in the audit log. And who is too loud, or never reads, hurts
 * only themselves.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { limits } from '../../lib/limits.js'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { memoryMb, query, watch } from './measure.js'
import { RawHost, RawSocket, rawBrowser } from './raw-socket.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const ours = await server.seed('Ada Ours')
const theirs = await server.seed('Eve Theirs')
const ourCookie = await server.signIn(ours.user.email, ours.password)
const theirCookie = await server.signIn(theirs.user.email, theirs.password)
const browser = await BrowserClient.connect(server.address, ourCookie)
const stranger = await BrowserClient.connect(server.address, theirCookie)
const instanceId = randomUUID()
const host = await RawHost.connect(server, ours.liveKey, instanceId)
await host.initialize(['action', 'other'])
const place = { organization: ours.organization.slug, environment: 'production' }
t.teardown(async () => {
  browser.close()
  stranger.close()
  host.raw.end()
  await server.stop()
})

const transactionId = randomUUID()
await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }))
const ioCall = JSON.stringify({
  id: randomUUID(),
  inputGroupKey: randomUUID(),
  kind: 'RENDER',
  toRender: [{ methodName: 'INPUT_TEXT', label: 'Name', props: {}, isStateful: false, isOptional: false }],
})
// No assertion out here: an idle file that has asserted something is taken for finished at its next wait.
await host.call('SEND_IO_CALL', { transactionId, ioCall })
const step = await browser.step('Name', transactionId)

function deniedRows(what: string): Promise<{ person_id: string | null; details: Record<string, unknown> }[]> {
  return query(
    server,
    `select person_id, details from audit_log where name = 'access.denied' and details->>'what' = $1`,
    [what],
  )
}

t.test('the door: cross-origin, no cookie, forged cookies, no key', async t => {
  const refusals: [string, Record<string, string>, number][] = [
    ['another origin', { cookie: ourCookie, origin: 'https://evil.example' }, 1008],
    ['no origin', { cookie: ourCookie }, 1008],
    ['a null origin', { cookie: ourCookie, origin: 'null' }, 1008],
    ['no cookie', { origin: server.address }, 4401],
    ['a forged cookie', { origin: server.address, cookie: `${ourCookie.slice(0, -4)}AAAA` }, 4401],
    ['garbage', { origin: server.address, cookie: 'session=%00; __proto__=1' }, 4401],
    ['a wrong key', { 'x-api-key': 'live_wrong', 'x-instance-id': randomUUID() }, 1008],
    ['a key without an instance', { 'x-api-key': ours.liveKey }, 1008],
    ['an instance without a key', { 'x-instance-id': randomUUID() }, 1008],
    ['a strange instance', { 'x-api-key': ours.liveKey, 'x-instance-id': '../../etc' }, 1008],
  ]
  for (const [what, headers, code] of refusals) {
    const raw = await RawSocket.open(server, headers)
    const closed = await raw.closed
    t.equal(closed.code, code, `${what}: ${closed.reason}`)
    t.same(raw.frames, [], 'nothing was said')
  }
  await eventually(async () => {
    if ((await deniedRows('websocket')).length < 7) throw new Error('not all refusals are in the audit log')
  })
})

t.test('ids of another organization do not exist', async t => {
  const { inputGroupKey, id: renderId } = step.call
  const requestId = randomUUID()
  const answer = { transactionId, requestId, inputGroupKey, renderId, kind: 'RETURN' as const, values: ['x'] }
  const pageKey = randomUUID()
  const attempts = {
    'directory.watch': () => stranger.ask('directory.watch', place),
    'transaction.start': () => stranger.ask('transaction.start', { ...place, transactionId, slug: 'action' }),
    'transaction.attach': () => stranger.ask('transaction.attach', { transactionId }),
    'transaction.answer': () => stranger.ask('transaction.answer', answer),
    'transaction.cancel': () => stranger.ask('transaction.cancel', { transactionId }),
    'transaction.leave': () => stranger.ask('transaction.leave', { transactionId }),
    'transaction.redirected': () => stranger.ask('transaction.redirected', { transactionId }),
    'page.open': () => stranger.ask('page.open', { ...place, pageKey, slug: 'page' }),
  }
  for (const [method, attempt] of Object.entries(attempts)) {
    t.equal((await refusal(attempt())).code, 'not-found', method)
    await eventually(async () => {
      const rows = await deniedRows(method)
      if (!rows.some(row => row.person_id === theirs.user.id))
        throw new Error(`${method} is not in the audit log`)
    })
  }
  t.equal((await refusal(stranger.ask('page.leave', { pageKey: randomUUID() }))).code, 'not-found')
  const snapshot = await browser.ask('transaction.attach', { transactionId })
  t.equal(snapshot.steps[0]?.answered, false, 'nothing has changed')
  const keys = await fetch(`${server.address}/api/v1/organizations/${ours.organization.slug}/members`, {
    headers: { cookie: theirCookie },
  })
  t.equal(keys.status, 404)
})

t.test('a member without the right can neither run nor take over', async t => {
  const [email, password] = ['reader@example.com', 'a long enough password']
  await server.admin('createUser', {
    email,
    password,
    membership: { organizationId: ours.organization.id, permissions: ['READONLY_VIEWER'] },
  })
  const reader = await BrowserClient.connect(server.address, await server.signIn(email, password))
  t.teardown(() => reader.close())
  t.same((await reader.ask('directory.watch', place)).actions, [])
  const own = { ...place, transactionId: randomUUID(), slug: 'action' }
  t.equal((await refusal(reader.ask('transaction.start', own))).code, 'not-found')
  const cancel = await refusal(reader.ask('transaction.cancel', { transactionId }))
  t.equal(cancel.code, 'forbidden')
  t.equal((await browser.ask('transaction.attach', { transactionId })).result, null)
})

t.test('a host speaks only for itself', async t => {
  const sameOrganization = await RawHost.connect(server, ours.liveKey)
  const otherOrganization = await RawHost.connect(server, theirs.liveKey)
  t.teardown(() => {
    sameOrganization.raw.end()
    otherOrganization.raw.end()
  })
  const forged = ioCall.replace('Name', 'Password')
  for (const other of [sameOrganization, otherOrganization]) {
    await other.initialize(['action'])
    t.match(await other.call('SEND_IO_CALL', { transactionId, ioCall: forged }), { type: 'ERROR' })
    t.equal(await other.call('SEND_LOG', { transactionId, data: 'forged', index: 0, timestamp: 1 }), false)
    t.equal(await other.call('SEND_LOADING_CALL', { transactionId, title: 'forged' }), false)
    t.equal(await other.call('SEND_REDIRECT', { transactionId, url: 'https://evil.example' }), false)
    const end = { transactionId, resultStatus: 'SUCCESS', result: '{"status":"SUCCESS","data":null}' }
    t.equal(await other.call('MARK_TRANSACTION_COMPLETE', end), false)
  }
  const message = { transactionId, message: 'forged', deliveryInstructions: [] }
  await otherOrganization.call('NOTIFY', message)
  const snapshot = await browser.ask('transaction.attach', { transactionId })
  t.match(snapshot, { status: 'awaiting-input', logs: [], notifications: [], redirect: null, result: null })
  t.equal(snapshot.steps.length, 1)
})

t.test('an instance id belongs to the organization that uses it', async t => {
  const thief = await RawSocket.open(server, { 'x-api-key': theirs.liveKey, 'x-instance-id': instanceId })
  t.equal((await thief.closed).code, 1008)
  t.ok(host.raw.isOpen, 'the right one stays connected')
  await eventually(async () => {
    if ((await deniedRows('instance')).length === 0) throw new Error('not in the audit log')
  })
})

t.test('revoked keys and ended sessions lose their sockets within 5 s', async t => {
  const key = await server.admin<{ key: string; id: string }>('createApiKey', {
    kind: 'PRODUCTION',
    organizationId: ours.organization.id,
    environmentId: ours.organization.environments.find(environment => environment.slug === 'production')?.id,
    userId: ours.user.id,
    label: 'to be revoked',
  })
  const revokedHost = await RawHost.connect(server, key.key)
  await revokedHost.initialize(['action'])
  // A key that was accepted but never initialised counts as well.
  const silentHost = await RawHost.connect(server, key.key)
  const [ended, expired] = [
    await server.signIn(ours.user.email, ours.password),
    await server.signIn(ours.user.email, ours.password),
  ]
  const endedBrowser = await rawBrowser(server, ended)
  await query(server, `update sessions set last_used_at = last_used_at where person_id = $1`, [ours.user.id])
  const newest = await query<{ id: string }>(
    server,
    'select id from sessions order by created_at desc limit 1',
  )
  const expiredBrowser = await rawBrowser(server, expired)
  const startedMs = Date.now()
  await query(server, 'update api_keys set revoked_at = now() where label = $1', ['to be revoked'])
  await query(server, 'update sessions set expires_at = now() where id = $1', [newest[0]?.id])
  const signOut = await fetch(`${server.address}/api/v1/session`, {
    method: 'DELETE',
    headers: { cookie: ended, origin: server.address },
  })
  t.ok(signOut.ok)
  t.equal((await endedBrowser.closed).code, 4401)
  t.equal((await expiredBrowser.closed).code, 4401)
  t.equal((await revokedHost.raw.closed).code, 1008)
  t.equal((await silentHost.raw.closed).code, 1008)
  t.ok(Date.now() - startedMs < 5_000, `${Date.now() - startedMs} ms`)
  for (const cookie of [ended, expired]) t.equal((await (await rawBrowser(server, cookie)).closed).code, 4401)
})

t.test('a browser that floods is told, then closed; another one does not notice', async t => {
  const flood = await rawBrowser(server, ourCookie)
  flood.send(JSON.stringify({ id: 1, method: 'hello', data: { client: randomUUID(), protocol: 1 } }))
  const measured = watch(server, browser, 25)
  const timer = setInterval(() => {
    for (let count = 0; count < 40; count++) flood.send(JSON.stringify({ id: 2, method: 'ping', data: {} }))
  }, 20)
  const closed = await flood.closed
  clearInterval(timer)
  const { slowestMs, medianMs } = await measured.stop()
  t.equal(closed.code, 1008)
  t.ok(
    flood.frames.some(frame => frame.includes('too-many-requests')),
    'it was told',
  )
  t.ok(medianMs < 50, `median ${medianMs.toFixed(1)} ms, slowest ${slowestMs.toFixed(1)} ms`)
})

t.test('a browser that never reads is dropped and costs no memory', async t => {
  const bigCall = JSON.stringify({
    id: randomUUID(),
    inputGroupKey: randomUUID(),
    kind: 'RENDER',
    toRender: [
      {
        methodName: 'DISPLAY_MARKDOWN',
        label: 'x'.repeat(2_000_000),
        props: {},
        isStateful: false,
        isOptional: false,
      },
    ],
  })
  const deaf = await rawBrowser(server, ourCookie)
  deaf.send(JSON.stringify({ id: 1, method: 'hello', data: { client: randomUUID(), protocol: 1 } }))
  const big = randomUUID()
  deaf.send(
    JSON.stringify({
      id: 2,
      method: 'transaction.start',
      data: { ...place, transactionId: big, slug: 'other' },
    }),
  )
  await eventuallyTrue('it has started', () => deaf.frames.length >= 2)
  t.equal(await host.call('SEND_IO_CALL', { transactionId: big, ioCall: bigCall }), true)
  await eventuallyTrue('it is shown', () => deaf.frames.some(frame => frame.includes('transaction.render')))
  deaf.socket.pause()
  const beforeMb = memoryMb(server)
  const measured = watch(server, browser, 25)
  // Each attach is answered with 2 MB that are never read.
  let asked = 0
  const timer = setInterval(() => {
    asked += 1
    deaf.send(JSON.stringify({ id: 10 + asked, method: 'transaction.attach', data: { transactionId: big } }))
  }, 50)
  await eventuallyTrue(
    'its window is gone',
    () => server.isRunning && asked > limits.socketSendBufferBytesMax / 2_000_000 + 30,
    30_000,
  )
  clearInterval(timer)
  deaf.socket.resume()
  const { code } = await deaf.closed
  const { memoryMbMax, medianMs } = await measured.stop()
  t.ok([1008, 1006].includes(code), `closed with ${code}`)
  t.ok(memoryMbMax - beforeMb < 150, `${beforeMb.toFixed(0)} MB before, ${memoryMbMax.toFixed(0)} MB at most`)
  t.ok(medianMs < 100, `others waited ${medianMs.toFixed(1)} ms`)
})
