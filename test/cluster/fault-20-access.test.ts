/**
 * Fault 20: who may not, may not. Strangers at the door, ids of other organizations, revoked keys and ended sessions on
 * open sockets, hosts that speak for others, and whoever is no node at the ports between nodes. What is denied is in the
 * audit log.
 */
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import pg from 'pg'
import t from 'tap'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { query } from './measure.js'
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

t.test('row 20: the door: cross-origin, no cookie, forged cookies, no key', async t => {
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
    const rows = await deniedRows('websocket')
    if (rows.length < refusals.length) throw new Error('not all refusals are in the audit log')
    t.equal(rows.length, refusals.length)
    const reasons = rows.map(row => row.details.reason)
    for (const reason of ['cross-origin', 'not-signed-in', 'invalid-api-key'])
      t.equal(
        reasons.filter(each => each === reason).length,
        { 'cross-origin': 3, 'not-signed-in': 3, 'invalid-api-key': 4 }[reason],
        reason,
      )
    t.notMatch(
      JSON.stringify(rows),
      new RegExp(`live_|AAAA|${ourCookie.slice(-12)}`),
      'nothing secret is in it',
    )
  })
  t.comment(`${refusals.length} strangers at /websocket, each closed with its code and in the audit log`)
})

t.test('row 20: ids of another organization do not exist', async t => {
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

t.test('row 20: a member without the right can neither run nor take over', async t => {
  const [email, password] = ['reader@example.com', 'a long enough password']
  await server.admin('createUser', {
    email,
    password,
    membership: { organizationId: ours.organization.id, permissions: ['READONLY_VIEWER'] },
  })
  const reader = await BrowserClient.connect(server.address, await server.signIn(email, password))
  t.teardown(() => reader.close())
  const seen = (await reader.ask('directory.watch', place)).actions
  t.ok(seen.length > 0 && seen.every(action => action.viewOnly && !action.online), 'they see what there is')
  const own = { ...place, transactionId: randomUUID(), slug: 'action' }
  t.equal((await refusal(reader.ask('transaction.start', own))).code, 'not-found')
  const cancel = await refusal(reader.ask('transaction.cancel', { transactionId }))
  t.equal(cancel.code, 'forbidden')
  t.equal((await browser.ask('transaction.attach', { transactionId })).result, null)
})

t.test('row 20: a host speaks only for itself', async t => {
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

t.test('row 20: an instance id belongs to the organization that uses it', async t => {
  const thief = await RawSocket.open(server, { 'x-api-key': theirs.liveKey, 'x-instance-id': instanceId })
  t.equal((await thief.closed).code, 1008)
  t.ok(host.raw.isOpen, 'the right one stays connected')
  await eventually(async () => {
    if ((await deniedRows('instance')).length === 0) throw new Error('not in the audit log')
  })
})

t.test('row 20: revoked keys and ended sessions lose their sockets within 5 s', async t => {
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
  t.comment(
    `2 sockets of one revoked key and 2 of sessions that ended were closed after ${Date.now() - startedMs} ms`,
  )
  for (const cookie of [ended, expired]) t.equal((await (await rawBrowser(server, cookie)).closed).code, 4401)
})

t.test(
  'row 20: revoking on one node closes the sockets on another within 5 s',
  { timeout: 120_000 },
  async t => {
    const cluster = await TestCluster.start(2)
    t.teardown(() => cluster.stop())
    const seeded = await cluster.seed()
    const [first, second] = [cluster.node(0), cluster.node(1)]
    const cookie = await first.signIn(seeded.user.email, seeded.password)
    const browsers = [await rawBrowser(first, cookie), await rawBrowser(second, cookie)]
    const startedMs = Date.now()
    const signOut = await fetch(`${first.address}/api/v1/session`, {
      method: 'DELETE',
      headers: { cookie, origin: first.address },
    })
    t.ok(signOut.ok)
    for (const raw of browsers) t.equal((await raw.closed).code, 4401)
    t.ok(Date.now() - startedMs < 5_000, `${Date.now() - startedMs} ms`)
    t.comment(
      `a session that ended on one node lost its socket on the other after ${Date.now() - startedMs} ms`,
    )

    // The ports between nodes: nobody who has not proved the secret is answered in their protocol.
    const { nodes } = await first.admin<{ nodes: { address: string }[] }>('clusterStatus', {})
    const ports = listeningPorts(first.pid).filter(port => port !== first.port)
    t.ok(ports.length >= 2, `gossip and data: ${ports.join(' ')}`)
    t.ok(
      ports.some(port => nodes.some(node => node.address === `127.0.0.1:${port}`)),
      'the gossip port is one of them',
    )
    // The first frame of tchannel, a request of ringpop's administration, and words of other protocols.
    const tchannelHello = Buffer.concat([
      Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2]),
      Buffer.from('\0\x09host_port\0\x090.0.0.0:0\0\x0cprocess_name\0\x04evil', 'latin1'),
    ])
    const words = [
      tchannelHello,
      Buffer.from('GET /admin/stats HTTP/1.1\r\n\r\n'),
      Buffer.alloc(100_000, 0xff),
    ]
    let attempts = 0
    for (const port of ports) {
      for (const said of words) {
        const heard = await sayTo(port, said)
        attempts += 1
        // A TLS alert is all there may be: a record of type 21.
        t.ok(
          heard.length === 0 || heard[0] === 21,
          `${port}: ${heard.length} bytes, ${heard.subarray(0, 8).toString('hex')}`,
        )
        t.notMatch(heard.toString('latin1'), /host_port|ringpop|tchannel|HTTP/)
      }
    }
    const metrics = await (await fetch(`${first.address}/metrics`)).text()
    const counted = Number(/^interval_peer_connections_refused_total (\d+)/m.exec(metrics)?.[1])
    t.equal(counted, attempts, 'each is counted')
    const logged = first.output.split('\n').filter(line => line.includes('not proved the cluster secret'))
    t.equal(logged.length, 1, 'and logged once')
    const database = new pg.Client({ connectionString: cluster.postgres.url })
    await database.connect()
    t.teardown(() => database.end())
    await eventually(async () => {
      const { rows } = await database.query<{ count: string }>(
        `select sum((details->>'count')::int) as count from audit_log where name = 'access.denied' and details->>'what' = 'node'`,
      )
      if (Number(rows[0]?.count) !== attempts)
        throw new Error(`${rows[0]?.count} of ${attempts} are in the audit log`)
    })
    t.same((await cluster.status(0)).notReady, [], 'the cluster has not noticed')
    t.comment(
      `${attempts} strangers at ${ports.length} ports between nodes: none answered, all counted and in the audit log`,
    )
  },
)

/** What comes back for these bytes until the other side ends it, 10 s at most. */
function sayTo(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const heard: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error('the connection stays open'))
    }, 10_000)
    socket.on('data', data => heard.push(data))
    // Closed while bytes were still on their way.
    socket.on('error', () => undefined)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(heard))
    })
  })
}

/** TCP ports a process of this machine listens on. */
function listeningPorts(pid: number): number[] {
  const inodes = new Set<string>()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1]
      if (inode !== undefined) inodes.add(inode)
    } catch {
      // Closed since.
    }
  }
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
    .filter(columns => columns[3] === '0A' && inodes.has(columns[9] ?? ''))
    .map(columns => Number.parseInt(columns[1]?.split(':')[1] ?? '', 16))
}
