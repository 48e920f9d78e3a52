/** Requests to real servers, well-behaved and not. */
import { getEventListeners, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createRawServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { limits } from '../../../lib/limits.js'
import {
  Outbound,
  OutboundError,
  type OutboundOptions,
  type OutboundRequest,
} from '../../../lib/outbound/index.js'
import { eventually } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

type Lookup = NonNullable<OutboundOptions['lookup']>

/** An outbound room that may go to this machine, and an agent for it. */
function outboundOf(t: Test, options: Partial<OutboundOptions> = {}): Outbound {
  const outbound = new Outbound({ allow: ['127.0.0.0/8'], ...options })
  t.teardown(() => outbound.close())
  return outbound
}

async function listen(t: Test, server: Server | ReturnType<typeof createRawServer>): Promise<string> {
  const port = await freePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${port}`
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

function serve(t: Test, handler: Handler): Promise<string> {
  return listen(t, createServer(handler))
}

/** A server that says whatever it likes; `count` counts its connections. */
async function serveRaw(t: Test, onRequest: (socket: Socket, connection: number) => void) {
  const sockets = new Set<Socket>()
  const state = { connections: 0, open: sockets, url: '' }
  const server = createRawServer(socket => {
    state.connections += 1
    const connection = state.connections
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
    socket.on('data', () => onRequest(socket, connection))
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  state.url = await listen(t, server)
  return state
}

function ask(outbound: Outbound, url: string, more: Partial<OutboundRequest> = {}) {
  return outbound.request({ method: 'POST', url, timeoutMs: 5_000, ...more })
}

/** The reason for which it fails. */
async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    if (error instanceof OutboundError && error.message.endsWith('.')) return error.reason
    throw error
  }
  return 'none'
}

function lookupOf(answers: (name: string) => readonly string[]): Lookup {
  return (async (name: string) =>
    answers(name).map(address => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }))) as unknown as Lookup
}

t.test('a request and its answer', async t => {
  const outbound = outboundOf(t)
  const url = await serve(t, async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    response.writeHead(207, { 'content-type': 'application/json', 'x-a': 'b' })
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }))
  })
  const answer = await ask(outbound, `${url}/ä/b?c=ü#d`, {
    method: 'put',
    headers: { 'Content-Type': 'text/plain', 'user-agent': 'skyring/1' },
    body: 'héllo',
    responseBytesMax: 10_000,
  })
  t.equal(answer.status, 207)
  t.equal(answer.headers['x-a'], 'b')
  t.match(JSON.parse(answer.body.toString()), {
    method: 'PUT',
    url: '/%C3%A4/b?c=%C3%BC',
    body: 'héllo',
    headers: {
      host: url.slice(7),
      'content-type': 'text/plain',
      'content-length': '6',
      'user-agent': 'skyring/1',
      connection: 'keep-alive',
    },
  })
  for (const [method, body, length] of [
    ['GET', undefined, undefined],
    ['GET', 'x', '1'],
    ['DELETE', undefined, undefined],
    ['DELETE', Buffer.from('xyz'), '3'],
    ['OPTIONS', 'xy', '2'],
    ['POST', undefined, '0'],
    ['PATCH', '', '0'],
  ] as const) {
    const seen = JSON.parse(
      (
        await ask(outbound, url, { method, responseBytesMax: 10_000, ...(body !== undefined && { body }) })
      ).body.toString(),
    )
    t.equal(seen.headers['content-length'], length, `${method} ${body}`)
    t.equal(seen.headers['transfer-encoding'], undefined)
    t.equal(seen.body, body?.toString() ?? '')
  }
  t.match(await ask(outbound, url, { method: 'HEAD' }), { status: 207, body: Buffer.alloc(0) })
  t.equal((await ask(outbound, url)).body.length, 0, 'a body nobody wants is thrown away')
})

t.test('what cannot be sent is refused without a connection and without a throw', async t => {
  const outbound = outboundOf(t)
  const server = await serveRaw(t, socket => socket.end())
  for (const method of [
    'CONNECT',
    'TRACE',
    'GET /x HTTP/1.1\r\nx: y',
    '',
    'G T',
    undefined as unknown as string,
  ])
    t.equal(await failure(ask(outbound, server.url, { method })), 'failed', String(method))
  for (const headers of [
    { 'x-a': 'b\r\nx-c: d' },
    { 'x-a': 'b\nc' },
    { 'x-a': 'b\0' },
    { 'x-a': 'ž' },
    { 'x-a\r\nx-b': 'c' },
    { 'x a': 'b' },
    { '': 'b' },
    { Host: 'other' },
    { 'Content-Length': '5' },
    { 'transfer-encoding': 'chunked' },
    { connection: 'close' },
    { upgrade: 'websocket' },
    { 'x-a': undefined as unknown as string },
  ])
    t.equal(await failure(ask(outbound, server.url, { headers })), 'failed', JSON.stringify(headers))
  t.equal(await failure(ask(outbound, 'ftp://127.0.0.1/')), 'invalid-url')
  t.equal(await failure(ask(outbound, '')), 'invalid-url')
  t.equal(await failure(ask(outbound, 'http://a:b@127.0.0.1/')), 'invalid-url')
  t.equal(await failure(ask(outbound, 'http://10.0.0.1/')), 'address-refused')
  t.equal(server.connections, 0)
})

t.test('redirects are answers', async t => {
  const outbound = outboundOf(t)
  const url = await serve(t, (_request, response) => {
    response.writeHead(302, { location: 'http://169.254.169.254/' }).end()
  })
  t.match(await ask(outbound, url), { status: 302, headers: { location: 'http://169.254.169.254/' } })
})

t.test('connections are kept, and closed when idle', async t => {
  const outbound = outboundOf(t)
  const server = await serveRaw(t, socket => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
  for (let count = 0; count < 5; count += 1) t.equal((await ask(outbound, server.url)).status, 204)
  t.equal(server.connections, 1)
  const says = (text: string) => (socket: Socket) =>
    socket.write(`HTTP/1.1 204 No Content\r\nkeep-alive: timeout=${text}\r\n\r\n`)
  const [patient, hasty] = [await serveRaw(t, says('600')), await serveRaw(t, says('1'))]
  for (let count = 0; count < 2; count += 1)
    for (const { url } of [patient, hasty]) t.equal((await ask(outbound, url)).status, 204)
  t.equal(patient.connections, 1)
  t.equal(hasty.connections, 2, 'one that is about to be closed is not kept')
  const fromMs = Date.now()
  await eventually(() => {
    if (server.open.size + patient.open.size > 0) throw new Error('still open')
  })
  const tookMs = Date.now() - fromMs
  t.ok(tookMs > 2_000 && tookMs < 6_000, `closed after ${tookMs} ms`)
  t.equal(outbound.openConnections, 0)
})

t.test('a connection is not kept when more may come over it than was asked for', async t => {
  const outbound = outboundOf(t)
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
  const keep = { responseBytesMax: 10 }
  const ending = await serveRaw(t, socket => socket.end(answer))
  for (let count = 1; count <= 20; count += 1) {
    t.equal((await ask(outbound, ending.url, keep)).body.toString(), 'ok')
    t.equal(ending.connections, count, 'one that ends with the answer')
  }
  const twice = await serveRaw(t, socket =>
    socket.write(`${answer}HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n`),
  )
  t.equal((await ask(outbound, twice.url)).status, 200)
  t.equal((await ask(outbound, twice.url)).status, 200, 'not what was said before it was asked')
  t.equal(twice.connections, 2)
  const unread = await serveRaw(t, socket => socket.pause().write(answer))
  t.equal(
    (await ask(outbound, unread.url, { ...keep, body: Buffer.alloc(20_000_000) })).body.toString(),
    'ok',
  )
  t.equal(
    (await ask(outbound, unread.url, keep)).body.toString(),
    'ok',
    'one on which the request was not read',
  )
  t.equal(unread.connections, 2)
  const late = await serveRaw(t, (socket, connection) => {
    // The body of the answer to HEAD comes with the next request.
    const isNext = connection === 1 && socket.bytesWritten > 0
    socket.write(
      isNext ? 'HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n' : answer.slice(0, connection > 1 ? 99 : -2),
    )
  })
  t.equal((await ask(outbound, late.url, { method: 'HEAD' })).status, 200)
  t.equal((await ask(outbound, late.url, keep)).body.toString(), 'ok')
  t.equal(late.connections, 2)
})

t.test('heads of answers', async t => {
  const outbound = outboundOf(t)
  const early = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'
  const last =
    'HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: \xe9\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\n__proto__: x\r\n'
  const hinting = await serveRaw(t, socket => {
    socket.write(Buffer.from(`${early}${early}${last}content-length: 0\r\n\r\n`, 'latin1'))
  })
  const { status, headers } = await ask(outbound, hinting.url)
  t.equal(status, 200, 'provisional ones are passed over')
  t.equal(headers['x-a'], '1, \xe9')
  t.same(headers['set-cookie'], ['a=1', 'b=2'])
  t.same(Object.keys(headers), ['x-a', 'set-cookie', '__proto__', 'content-length'])
  const continuing = await serveRaw(t, socket => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  })
  await t.rejects(ask(outbound, continuing.url), { reason: 'failed', message: /100 Continue/ })
})

t.test('a kept connection that the peer has closed leads to one second try on a new one', async t => {
  const outbound = outboundOf(t)
  /** Answers the first request of each connection, and ends it at the second. */
  const seen = new Map<number, number>()
  const server = await serveRaw(t, (socket, connection) => {
    const count = (seen.get(connection) ?? 0) + 1
    seen.set(connection, count)
    if (count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    else socket.end()
  })
  t.equal((await ask(outbound, server.url, { body: 'a' })).status, 200)
  t.equal((await ask(outbound, server.url, { body: 'b' })).status, 200)
  t.equal(server.connections, 2)

  let answers = 0
  const partial = await serveRaw(t, socket => {
    answers += 1
    if (answers === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    else socket.end('HTTP/1.')
  })
  t.equal((await ask(outbound, partial.url)).status, 200)
  t.equal(await failure(ask(outbound, partial.url)), 'failed', 'not after a byte of an answer')
  t.equal(partial.connections, 1)

  const never = await serveRaw(t, socket => socket.destroy())
  t.equal(await failure(ask(outbound, never.url)), 'failed', 'not on a new connection')
  t.equal(never.connections, 1)

  let count = 0
  const onlyOnce = await serveRaw(t, socket => {
    count += 1
    if (count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    else socket.destroy()
  })
  t.equal((await ask(outbound, onlyOnce.url)).status, 200)
  t.equal(await failure(ask(outbound, onlyOnce.url)), 'failed', 'not a third time')
  t.equal(count, 3)
})

t.test('no name leads where its address may not', async t => {
  let rounds = 0
  const server = await serveRaw(t, socket => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
  const { port } = new URL(server.url)
  const outbound = outboundOf(t, {
    allow: ['127.0.0.1', 'trusted.example', '*.inside.example'],
    lookup: lookupOf(name => {
      rounds += 1
      if (name === 'mixed.example') return ['10.0.0.1', '127.0.0.1', '::1']
      if (name === 'empty.example') return []
      if (name === 'rebinding.example') return [rounds === 1 ? '127.0.0.1' : '127.0.0.2']
      if (name === 'odd.example') return ['nonsense']
      if (name.endsWith('.local')) return ['192.168.0.1', '::1']
      return ['127.0.0.2']
    }),
  })
  t.equal((await ask(outbound, `http://rebinding.example:${port}/`)).status, 200)
  t.equal(rounds, 1, 'looked up once')
  await eventually(() => {
    if (server.open.size > 0) throw new Error('still open')
  })
  t.equal(await failure(ask(outbound, `http://rebinding.example:${port}/`)), 'address-refused')
  t.equal(server.connections, 1)
  t.equal((await ask(outbound, `http://mixed.example:${port}/`)).status, 200, 'only to what is allowed')
  for (const name of ['printer.local', 'odd.example', 'inside.example', 'nottrusted.example'])
    t.equal(await failure(ask(outbound, `http://${name}:${port}/`)), 'address-refused', name)
  t.equal(await failure(ask(outbound, `http://empty.example:${port}/`)), 'unreachable')
  // Nobody listens on 127.0.0.2: that it was tried is what is seen.
  for (const name of ['trusted.example', 'TRUSTED.example.', 'a.inside.example'])
    t.equal(await failure(ask(outbound, `http://${name}:${port}/`)), 'unreachable', name)
  t.equal(await failure(ask(outbound, `https://printer.local:${port}/`)), 'address-refused')
})

t.test('a name is looked up once for all that wait for it', async t => {
  let lookups = 0
  const waiting: (() => void)[] = []
  const lookup = ((name: string) => {
    lookups += 1
    if (name === 'broken.example')
      return Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }))
    return new Promise(resolve => waiting.push(() => resolve([{ address: '127.0.0.1', family: 4 }])))
  }) as unknown as Lookup
  const outbound = outboundOf(t, { lookup })
  const url = await serve(t, (_request, response) => response.end())
  const { port } = new URL(url)
  t.equal(await failure(ask(outbound, 'http://broken.example/')), 'unreachable')
  const asked = Array.from({ length: 20 }, () => ask(outbound, `http://same.example:${port}/`))
  await eventually(() => {
    if (waiting.length === 0) throw new Error('not asked yet')
  })
  t.equal(lookups, 2)
  for (const resolve of waiting) resolve()
  t.same(new Set((await Promise.all(asked)).map(({ status }) => status)), new Set([200]))
})

t.test('names that nobody answers for hold up the names of others for a moment only', async t => {
  const started: string[] = []
  const hanging = new Map<string, () => void>()
  const lookup = ((name: string) => {
    started.push(name)
    const found = [{ address: '127.0.0.1', family: 4 }]
    if (name.endsWith('.well.example')) return Promise.resolve(found)
    return new Promise(resolve => hanging.set(name, () => resolve(found)))
  }) as unknown as Lookup
  const outbound = outboundOf(t, { lookup })
  const url = await serve(t, (_request, response) => response.end())
  const { port } = new URL(url)
  const of = (name: string, timeoutMs: number) => ask(outbound, `http://${name}:${port}/`, { timeoutMs })

  // One domain has two at once; a third waits, and then has its turn.
  const silent = Array.from({ length: 40 }, (_, index) => failure(of(`n${index}.silent.test`, 1_000)))
  t.same(new Set(await Promise.all(silent)), new Set(['timeout']))
  t.equal(started.length, 2)
  t.equal((await of('a.well.example', 1_000)).status, 200, 'another domain is not held up')
  hanging.get('n0.silent.test')?.()
  await eventually(() => {
    if (!started.includes('n2.silent.test')) throw new Error('the next has no turn')
  })

  // Many domains take all the room there is, until they have taken long.
  const domains = limits.outboundLookupsMax / 2
  const many = Array.from({ length: limits.outboundLookupsMax }, (_, index) =>
    failure(of(`n${index}.silent${index % domains}.test`, 1_000)),
  )
  await eventually(() => {
    if (started.length < limits.outboundLookupsMax + 2) throw new Error(`${started.length} have begun`)
  })
  const waited = of('b.well.example', 10_000)
  const patient = of('n1.silent.test', 30_000)
  t.same(new Set(await Promise.all(many)), new Set(['timeout']))
  t.notOk(started.includes('b.well.example'))
  t.equal((await waited).status, 200, 'it has waited for room')
  await eventually(() => {
    if (!started.includes('n3.silent.test')) throw new Error('what takes long has not made room')
  })
  t.notOk(started.includes('n4.silent.test'), 'not for many')
  t.equal(
    started.filter(name => name === 'n1.silent.test').length,
    1,
    'what takes long is not looked up again',
  )
  hanging.get('n1.silent.test')?.()
  t.equal((await patient).status, 200, 'who still waits for it gets it')

  const crowd = Array.from({ length: 200 }, (_, index) => failure(of(`m${index}.crowd.test`, 500)))
  const reasons = await Promise.all(crowd)
  t.equal(reasons.filter(reason => reason === 'unreachable').length, 72, 'more than 128 are refused at once')
  for (const answer of hanging.values()) answer()
})

t.test('nobody there', async t => {
  const outbound = outboundOf(t)
  const port = await freePort()
  t.equal(await failure(ask(outbound, `http://127.0.0.1:${port}/`)), 'unreachable')
  t.equal(await failure(ask(outbound, `https://127.0.0.1:${port}/`)), 'unreachable')
  t.equal(await failure(ask(outbound, 'http://127.0.0.1:0/')), 'unreachable')
  const plain = await serve(t, (_request, response) => response.end())
  t.equal(
    await failure(ask(outbound, plain.replace('http:', 'https:'))),
    'unreachable',
    'a server that does not speak TLS has been sent nothing',
  )
})

t.test('peers that do not behave', async t => {
  const outbound = outboundOf(t)
  const head = 'HTTP/1.1 200 OK\r\n'
  const flood = (socket: Socket, text: string): void => {
    const write = (): void => {
      while (!socket.destroyed && socket.write(text));
    }
    socket.on('drain', write)
    write()
  }
  const cases: [string, string, (socket: Socket) => void, Partial<OutboundRequest>?][] = [
    ['never answers', 'timeout', () => undefined],
    ['answers with garbage', 'failed', socket => socket.write('garbage\r\n\r\n')],
    ['answers with bytes', 'failed', socket => socket.write(Buffer.alloc(100_000, 0xff))],
    ['closes at once', 'failed', socket => socket.end()],
    ['resets', 'failed', socket => socket.resetAndDestroy()],
    ['half a head', 'failed', socket => socket.end(head)],
    ['half a head, then silence', 'timeout', socket => socket.write(head)],
    ['half a body', 'failed', socket => socket.end(`${head}content-length: 10\r\n\r\nabc`)],
    ['half a chunk', 'failed', socket => socket.end(`${head}transfer-encoding: chunked\r\n\r\n5\r\nab`)],
    ['a wrong chunk', 'failed', socket => socket.write(`${head}transfer-encoding: chunked\r\n\r\nzz\r\n`)],
    [
      'two lengths',
      'failed',
      socket => socket.write(`${head}content-length: 1\r\ncontent-length: 2\r\n\r\nab`),
    ],
    ['a slow body', 'timeout', socket => socket.write(`${head}content-length: 10\r\n\r\nabc`)],
    [
      'an endless head',
      'too-large',
      socket => flood(socket.write(head) ? socket : socket, `x-a: ${'b'.repeat(900)}\r\n`),
    ],
    [
      'an endless header',
      'too-large',
      socket => flood(socket.write(`${head}x: `) ? socket : socket, 'b'.repeat(9_000)),
    ],
    [
      'thousands of headers',
      'too-large',
      socket => socket.write(`${head}${'a:\r\n'.repeat(12_000)}content-length: 1\r\n\r\n`),
    ],
    [
      'thousands of headers, and no end',
      'too-large',
      socket => socket.write(`${head}${'a:\r\n'.repeat(12_000)}`),
    ],
    [
      'provisional answers only',
      'failed',
      socket => flood(socket, 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(500)),
    ],
    [
      'continues without an end',
      'failed',
      socket => flood(socket, 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(500)),
    ],
    [
      'switches protocols',
      'failed',
      socket => socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
    ],
    ['switches to nothing', 'failed', socket => socket.end('HTTP/1.1 101 Switching\r\n\r\n')],
    [
      'more than wanted',
      'too-large',
      socket => socket.write(`${head}content-length: 2000\r\n\r\n${'x'.repeat(2_000)}`),
      { responseBytesMax: 1_000 },
    ],
    [
      'much more than wanted',
      'too-large',
      socket => {
        socket.write(head)
        flood(socket, `\r\n${'x'.repeat(9_000)}`)
      },
      { responseBytesMax: 1_000 },
    ],
  ]
  for (const [name, reason, onRequest, more] of cases) {
    const server = await serveRaw(t, onRequest)
    const fromMs = Date.now()
    t.equal(await failure(ask(outbound, server.url, { timeoutMs: 400, ...more })), reason, name)
    t.ok(Date.now() - fromMs < 2_000, `${name}: in time`)
    await eventually(() => {
      if (server.open.size > 0) throw new Error(`${name}: still open`)
    })
  }
  await eventually(() => {
    if (outbound.openConnections > 0) throw new Error(`${outbound.openConnections} are open`)
  })
})

t.test('a body nobody wants is read to 64 KiB and then cut', async t => {
  const outbound = outboundOf(t)
  const server = await serveRaw(t, socket => {
    socket.write('HTTP/1.1 202 Accepted\r\n\r\n')
    const write = (): void => {
      while (!socket.destroyed && socket.write('x'.repeat(10_000)));
    }
    socket.on('drain', write)
    write()
  })
  t.match(await ask(outbound, server.url), { status: 202, body: Buffer.alloc(0) })
  await eventually(() => {
    if (server.open.size > 0) throw new Error('still open')
  })
  const exact = await serve(t, (_request, response) => response.end('x'.repeat(1_000)))
  t.equal((await ask(outbound, exact, { responseBytesMax: 1_000 })).body.length, 1_000)
  const untilClose = await serveRaw(t, socket => socket.end('HTTP/1.1 200 OK\r\n\r\nabc'))
  t.equal((await ask(outbound, untilClose.url, { responseBytesMax: 9 })).body.toString(), 'abc')
})

t.test('a slow receiver keeps only its own waiting; what waits has its time, too', async t => {
  const outbound = outboundOf(t, { agentSocketsMax: 200 })
  const held: ServerResponse[] = []
  const asking = 3 * limits.outboundSocketsPerOriginMax
  let most = 0
  const slow = await serve(t, (_request, response) => {
    held.push(response)
    most = Math.max(most, held.length)
  })
  const quick = await serve(t, (_request, response) => response.end())
  const asked = Array.from({ length: asking }, () => failure(ask(outbound, slow, { timeoutMs: 1_500 })))
  await eventually(() => {
    if (held.length < limits.outboundSocketsPerOriginMax) throw new Error(`${held.length} came`)
  })
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask(outbound, quick)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(most, limits.outboundSocketsPerOriginMax)
  for (const response of held.splice(0)) response.end()
  await eventually(() => {
    if (held.length < limits.outboundSocketsPerOriginMax) throw new Error('the next do not come')
  })
  const reasons = await Promise.all(asked)
  t.equal(reasons.filter(reason => reason === 'none').length, limits.outboundSocketsPerOriginMax)
  t.equal(reasons.filter(reason => reason === 'timeout').length, asking - limits.outboundSocketsPerOriginMax)
})

t.test('idle connections make room', async t => {
  const outbound = outboundOf(t, { agentSocketsMax: 3 })
  const urls = await Promise.all(
    Array.from({ length: 8 }, () => serve(t, (_request, response) => response.end())),
  )
  for (const url of [...urls, ...urls]) {
    t.equal((await ask(outbound, url, { timeoutMs: 1_000 })).status, 200)
    t.ok(outbound.openConnections <= 4, `${outbound.openConnections} open`)
  }
})

t.test('who gives a request up ends it, and its connection, wherever it is', async t => {
  const outbound = outboundOf(t, { agentSocketsMax: 1 })
  let received = 0
  const server = await serveRaw(t, () => {
    received += 1
  })
  t.equal(await failure(ask(outbound, server.url, { signal: AbortSignal.abort() })), 'failed')
  t.equal(server.connections, 0, 'nothing is sent of what was given up before')

  const [inside, waiting] = [new AbortController(), new AbortController()]
  const first = failure(ask(outbound, server.url, { signal: inside.signal, timeoutMs: 60_000 }))
  const second = failure(ask(outbound, server.url, { signal: waiting.signal, timeoutMs: 60_000 }))
  await eventually(() => {
    if (received === 0) throw new Error('nothing has come')
  })
  waiting.abort()
  t.equal(await second, 'failed', 'one that waits for a connection')
  inside.abort()
  t.equal(await first, 'failed', 'one that waits for its answer')
  await eventually(() => {
    if (server.open.size > 0 || outbound.openConnections > 0) throw new Error('still open')
  })

  const half = await serveRaw(t, socket => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'))
  const reading = new AbortController()
  const third = failure(ask(outbound, half.url, { signal: reading.signal, timeoutMs: 60_000 }))
  await eventually(() => {
    if (half.open.size === 0) throw new Error('nothing has come')
  })
  reading.abort()
  t.equal(await third, 'failed', 'one that reads its answer')
  await eventually(() => {
    if (half.open.size > 0) throw new Error('still open')
  })

  const quick = await serve(t, (_request, response) => response.end())
  const later = new AbortController()
  t.equal((await ask(outbound, quick, { signal: later.signal })).status, 200, 'there is room again')
  t.equal(getEventListeners(later.signal, 'abort').length, 0)
  t.equal(getEventListeners(inside.signal, 'abort').length, 0)
  later.abort()
  t.equal((await ask(outbound, quick)).status, 200, 'after its end it says nothing')
})

t.test('too many that wait are refused, and a close ends all', async t => {
  const outbound = outboundOf(t, { agentSocketsMax: 1 })
  const server = await serveRaw(t, () => undefined)
  const reasons: string[] = []
  const asked: Promise<unknown>[] = []
  for (let count = 0; count < limits.outboundWaitingMax + 2; count += 1)
    asked.push(failure(ask(outbound, server.url, { timeoutMs: 60_000 })).then(reason => reasons.push(reason)))
  await eventually(() => {
    if (reasons.length === 0 || server.open.size === 0) throw new Error('not refused yet')
  })
  t.same(reasons, ['unreachable'])
  outbound.close()
  await Promise.all(asked)
  t.same(new Set(reasons.slice(1)), new Set(['failed']))
  t.equal(await failure(ask(outbound, server.url)), 'failed')
  await eventually(() => {
    if (server.open.size > 0 || outbound.openConnections > 0) throw new Error('still open')
  })
})
