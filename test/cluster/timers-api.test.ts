/**
 * Timers of our own API on a real node: whose they are, what may be called, what is called again, what has failed, lists
 * and import.
 */
import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { query } from './measure.js'

t.setTimeout(300_000)

interface Call {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Who is called: answers with the status that the path ends with, 200 by default. */
async function receiver(t: {
  teardown(end: () => unknown): unknown
}): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      calls.push({ path: request.url ?? '', headers: request.headers, body })
      const status = Number(/\/(\d{3})$/.exec(request.url ?? '')?.[1] ?? 200)
      response.writeHead(status).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}

type Answer = { status: number; body: Record<string, unknown>; headers: Headers }

/** Asks as the holder of a key. */
function asker(server: TestServer, key?: string) {
  return async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(`${server.address}${path}`, {
      method,
      headers: {
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const parsed = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    return { status: response.status, body: parsed, headers: response.headers }
  }
}

const secret = 'a secret of sixteen characters'

t.test('on one node', async t => {
  const server = await TestServer.start({
    flags: ['--timers:callbacks:allow=127.0.0.1', `--timers:secret=${secret}`],
  })
  t.teardown(() => server.stop())
  const [mine, theirs] = [await server.seed('Ada Quill'), await server.seed('Ben Otter')]
  const ask = asker(server, mine.liveKey)
  const others = asker(server, theirs.liveKey)
  const far = { delayMs: 3_600_000, callback: { uri: 'https://receiver.example/' } }

  t.test('a key is asked for, and timers are those of its organization', async t => {
    const nobody = asker(server)
    t.equal((await nobody('POST', '/api/v1/timers', far)).status, 401)
    t.equal((await nobody('GET', '/api/v1/timers')).status, 401)
    const plain = { timeout: 60_000, callback: { transport: 'http', uri: 'http://x/', method: 'post' } }
    t.equal((await nobody('POST', '/timer', plain)).status, 401)
    t.equal((await asker(server, 'live_wrong')('POST', '/timer', plain)).status, 403)
    await eventually(async () => {
      const rows = await query(
        server,
        `select address from audit_log where name = 'access.denied' and details->>'path' = '/timer'`,
      )
      if (rows.length !== 1) throw new Error('the wrong key is not in the audit log')
    })
    const made = await ask('POST', '/timer', plain)
    t.equal(made.status, 201)
    const location = made.headers.get('location') ?? ''
    t.equal((await others('GET', location)).status, 404)
    t.equal((await others('PUT', location, plain)).status, 404)
    t.equal((await others('DELETE', location)).status, 404)
    t.match((await ask('GET', location)).body, { state: 'pending' })
    t.equal((await ask('DELETE', location)).status, 202)
  })

  t.test('what is wrong is named', async t => {
    const refused = async (body: unknown, what: RegExp): Promise<void> => {
      const { status, body: answer } = await ask('POST', '/api/v1/timers', body)
      t.ok(status === 400 || status === 422, `${status} ${JSON.stringify(answer)}`)
      t.match(JSON.stringify(answer), what)
    }
    await refused({ ...far, delayMs: undefined }, /delayMs/)
    await refused({ ...far, at: '2030-01-01T00:00:00Z' }, /delayMs/)
    await refused({ ...far, delayMs: -1 }, /delayMs/)
    await refused({ ...far, delayMs: 2 ** 48 }, /too far/)
    await refused({ ...far, callback: {} }, /callback.uri/)
    await refused({ ...far, callback: { uri: 'http://x/', transport: 'pigeon' } }, /pigeon|http/)
    await refused({ ...far, retry: { attempts: 0 } }, /retry.attempts/)
    await refused({ ...far, surprise: true }, /surprise/)
    t.equal((await ask('GET', '/api/v1/timers?limit=0')).status, 400)
    t.equal((await ask('GET', '/api/v1/timers?cursor=x')).status, 400)
    t.equal((await ask('GET', '/api/v1/timers?state=x')).status, 400)
    t.equal((await ask('GET', '/api/v1/timers/unknown')).status, 404)
  })

  t.test(
    'a call carries its names and is signed; it is made again until it is taken, and then kept',
    async t => {
      const { url, calls } = await receiver(t)
      const retry = { attempts: 3, backoffMs: 50 }
      const callback = { uri: `${url}/a/503`, method: 'PUT' }
      const made = await ask('POST', '/api/v1/timers', { delayMs: 100, data: { n: 1 }, callback, retry })
      const { id } = made.body as { id: string }
      t.equal(made.headers.get('location'), `/api/v1/timers/${id}`)
      const failed = await eventually(async () => {
        const { body } = await ask('GET', `/api/v1/timers/${id}`)
        if (body.state !== 'failed') throw new Error(JSON.stringify(body))
        return body
      })
      t.match(failed, { failures: 3, lastError: /503/, nextAt: null })
      t.same(
        calls.map(({ headers }) => headers['x-timer-attempt']),
        ['1', '2', '3'],
      )
      t.equal(new Set(calls.map(({ headers }) => headers['x-timer-firing'])).size, 3)
      for (const { body, headers } of calls) {
        t.equal(body, '{"n":1}')
        t.equal(headers['x-timer-id'], id)
        const signed = createHmac('sha256', secret)
          .update(`${headers['x-timer-firing']}.${body}`)
          .digest('hex')
        t.equal(headers['x-timer-signature'], `sha256=${signed}`)
      }
      t.equal((await ask('DELETE', `/timer/${id}`)).status, 404, 'for the plain API it is over')
      const { body: list } = await ask('GET', '/api/v1/timers?state=failed')
      t.match(list, { timers: [{ id }], cursor: null })
      t.match((await others('GET', '/api/v1/timers?state=failed')).body, { timers: [] })
      t.equal((await ask('POST', `/api/v1/timers/${id}/revive`)).status, 200)
      await eventuallyTrue('three more calls', () => calls.length === 6)
    },
  )

  t.test('an address that is not allowed is not called', async t => {
    const { url, calls } = await receiver(t)
    const refused = await TestServer.start({ flags: ['--timers:auth=open'] })
    t.teardown(() => refused.stop())
    const open = asker(refused)
    const callback = { uri: `${url}/` }
    const retry = { attempts: 1 }
    const { body } = await open('POST', '/api/v1/timers', { delayMs: 10, callback, retry })
    await eventually(async () => {
      const { body: timer } = await open('GET', `/api/v1/timers/${(body as { id: string }).id}`)
      if (!/127\.0\.0\.1/.test(String(timer.lastError))) throw new Error(JSON.stringify(timer))
    })
    t.equal(calls.length, 0)
  })

  t.test('all are listed once, page by page, and what was listed can be imported again', async t => {
    const count = 60
    const ids = await Promise.all(
      Array.from({ length: count }, async (_, at) => {
        const { body } = await others('POST', '/api/v1/timers', { ...far, data: `number ${at}` })
        return (body as { id: string }).id
      }),
    )
    await ask('POST', '/api/v1/timers', { ...far, id: 'mine' })
    const listed: { id: string }[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: Answer = await others('GET', `/api/v1/timers?limit=7${cursor && `&cursor=${cursor}`}`)
      t.ok((page.body.timers as unknown[]).length <= 7)
      listed.push(...(page.body.timers as { id: string }[]))
      cursor = page.body.cursor as string | null
    }
    t.same(listed.map(({ id }) => id).sort(), [...ids].sort())
    for (const id of ids.slice(0, 20)) t.equal((await others('DELETE', `/api/v1/timers/${id}`)).status, 204)
    const imported = await others('POST', '/api/v1/timers/import', { timers: listed })
    t.same(imported.body, { created: 20, existing: 40 })
    const again = await others('GET', `/api/v1/timers/${ids[0]}`)
    t.match(again.body, {
      data: 'number 0',
      at: (listed.find(({ id }) => id === ids[0]) as { at?: string })?.at,
    })
  })
})
