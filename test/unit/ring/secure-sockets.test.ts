/** Sockets between nodes: who does not know the secret gets nothing, and who listens in learns nothing. */
import { connect, createServer, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { type Log, Secret, silentLog } from '../../../lib/log.js'
import { systemClock } from '../../../lib/partitions/clock.js'
import {
  addressOfChannelName,
  channelNameOf,
  formatAddress,
  parseAddress,
} from '../../../lib/ring/addresses.js'
import { SecureSockets } from '../../../lib/ring/secure-sockets.js'
import { Random } from '../../sim/random.js'
import { eventuallyTrue } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

function sockets(secret: string, log: Log = silentLog): SecureSockets {
  const random = new Random(process.pid)
  return new SecureSockets({
    secret: new Secret(secret),
    clock: systemClock(),
    random: () => random.next(),
    log,
  })
}

interface Warned extends Log {
  readonly lines: string[]
}

function collectingLog(): Warned {
  const lines: string[] = []
  return {
    ...silentLog,
    lines,
    warn: (event, fields) => lines.push(`${event} ${JSON.stringify(fields)}`),
  }
}

/** A listener that answers each chunk with the same chunk. */
async function echo(t: Test, secured: SecureSockets): Promise<{ port: number; taken: TLSSocket[] }> {
  const taken: TLSSocket[] = []
  const listener = await secured.listen('channel:port', { host: '127.0.0.1', port: 0 }, socket => {
    taken.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', chunk => socket.write(chunk))
  })
  t.teardown(async () => {
    for (const socket of taken) socket.destroy()
    await listener.close()
  })
  return { port: listener.port, taken }
}

function outcome(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('data', chunk => resolve(`data ${String(chunk)}`))
    socket.once('close', () => resolve('closed'))
  })
}

/** A relay that keeps what passes, by direction. */
async function eavesdrop(
  t: Test,
  targetPort: number,
): Promise<{ port: number; up: Buffer[]; down: Buffer[] }> {
  const up: Buffer[] = []
  const down: Buffer[] = []
  const server = createServer(near => {
    const far = connect(targetPort, '127.0.0.1')
    near.on('data', chunk => {
      up.push(chunk)
      far.write(chunk)
    })
    far.on('data', chunk => {
      down.push(chunk)
      near.write(chunk)
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { port, up, down }
}

t.test('the right secret connects; nothing of it or of the content is on the wire', async t => {
  const secret = 'a secret that must not be seen'
  const secured = sockets(secret)
  const { port } = await echo(t, secured)
  t.ok(port < 32_768)
  const relay = await eavesdrop(t, port)
  const socket = secured.connect({ host: '127.0.0.1', port: relay.port })
  t.teardown(() => socket.destroy())
  socket.write('content that must not be seen')
  t.equal(await outcome(socket), 'data content that must not be seen')
  t.equal(socket.getProtocol(), 'TLSv1.2')
  t.equal(socket.getCipher().standardName, 'TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256')
  const wire = Buffer.concat([...relay.up, ...relay.down]).toString('latin1')
  t.ok(wire.length > 100)
  t.notMatch(wire, /must not be seen/)
  t.equal(secured.refusedConnections, 0)
})

t.test(
  'a wrong secret and no secret are refused, counted, and logged once per address and minute',
  async t => {
    const log = collectingLog()
    const listening = sockets('right', log)
    const { port, taken } = await echo(t, listening)
    for (let attempt = 1; attempt <= 3; attempt++) {
      const wrong = sockets('wrong')
      const socket = wrong.connect({ host: '127.0.0.1', port })
      socket.write('hello')
      t.match(await outcome(socket), /^ERR_SSL|EPROTO/)
      t.equal(wrong.refusedConnections, 1)
      await eventuallyTrue('counted', () => listening.refusedConnections === attempt)
    }
    const plain = connect(port, '127.0.0.1')
    plain.write('\0\0\0\0 a frame of tchannel without any proof')
    t.notMatch(await outcome(plain), /^data \0/)
    await eventuallyTrue('counted', () => listening.refusedConnections === 4)
    t.equal(taken.length, 0, 'no socket was handed over')
    t.equal(log.lines.length, 1)
    t.match(log.lines[0], /127\.0\.0\.1/)
    t.notMatch(log.lines.join(), /right|wrong/)
  },
)

t.test('recorded bytes sent again are refused', async t => {
  const secured = sockets('secret')
  const { port, taken } = await echo(t, secured)
  const relay = await eavesdrop(t, port)
  const socket = secured.connect({ host: '127.0.0.1', port: relay.port })
  socket.write('pay once')
  t.equal(await outcome(socket), 'data pay once')
  socket.destroy()
  t.equal(taken.length, 1)
  const replay = connect(port, '127.0.0.1')
  replay.resume()
  replay.on('error', () => undefined)
  for (const chunk of relay.up) replay.write(chunk)
  await eventuallyTrue('refused', () => secured.refusedConnections === 1)
  t.equal(taken.length, 1, 'nothing was handed over')
})

t.test('a port in use is one clear sentence', async t => {
  const secured = sockets('secret')
  const { port } = await echo(t, secured)
  await t.rejects(
    secured.listen('channel:port', { host: '127.0.0.1', port }, () => undefined),
    {
      code: 'unavailable',
      message: `channel:port: cannot listen on 127.0.0.1:${port}: the port is in use.`,
    },
  )
  await t.rejects(
    secured.listen('channel:host', { host: '192.0.2.1', port: 12_345 }, () => undefined),
    { message: 'channel:host: cannot listen on 192.0.2.1:12345: this machine has no such address.' },
  )
})

t.test('addresses, and the names that ringpop knows them by', async t => {
  t.same(parseAddress('seed'), { host: 'seed', port: 3455 })
  t.same(parseAddress('10.0.0.1:99'), { host: '10.0.0.1', port: 99 })
  t.same(parseAddress('[fd00::1]:99'), { host: 'fd00::1', port: 99 })
  t.same(parseAddress('[::1]'), { host: '::1', port: 3455 })
  t.same(parseAddress('::1'), { host: '::1', port: 3455 })
  for (const wrong of ['', 'a:b', 'a:0', 'a:70000', '[a]:1', 'http://a', 'a b']) {
    t.throws(() => parseAddress(wrong), { code: 'bad-request' }, wrong)
  }
  for (const host of ['10.0.0.1', '::1', '2001:db8::ff00:42:8329', 'fd00::1', '::ffff:1.2.3.4']) {
    const name = channelNameOf({ host, port: 3455 })
    t.match(name, /^\d+\.\d+\.\d+\.\d+:3455$/)
    t.equal(formatAddress(addressOfChannelName(name)), formatAddress({ host, port: 3455 }))
  }
  t.throws(() => addressOfChannelName('999.1.1.1:1'), { code: 'bad-request' })
})
