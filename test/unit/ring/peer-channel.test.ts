/** Calls between nodes: in order, each at most once, any size, bounded, and never silent about a lost connection. */
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { NodeId } from '../../../lib/ids.js'
import { Secret, silentLog } from '../../../lib/log.js'
import { systemClock } from '../../../lib/partitions/clock.js'
import { parseAddress } from '../../../lib/ring/addresses.js'
import type { Line, LineLimits } from '../../../lib/ring/line.js'
import { IncomingMessages, type Message, OutgoingMessages } from '../../../lib/ring/message-stream.js'
import { DialError, PeerChannel } from '../../../lib/ring/peer-channel.js'
import type { Member } from '../../../lib/ring/peers.js'
import { SecureSockets } from '../../../lib/ring/secure-sockets.js'
import { Random } from '../../sim/random.js'
import { eventuallyTrue } from '../../support/eventually.js'

type Answer = (from: Member, kind: string, body: Buffer) => Promise<Buffer> | Buffer

const random = new Random(process.pid)

interface Node {
  readonly channel: PeerChannel
  readonly member: Member
  /** How often something was heard of others. */
  readonly heard: () => number
}

async function node(
  t: Test,
  name: string,
  answer: Answer = (_from, _kind, body) => body,
  options: { limits?: Partial<LineLimits>; protocolVersion?: number; boot?: number } = {},
): Promise<Node> {
  const clock = systemClock()
  let heard = 0
  let member: Member = {
    nodeId: `node-${name}-0000` as NodeId,
    storeId: `store-${name}`,
    boot: options.boot ?? 1,
    channelAddress: '127.0.0.1:1',
    forwardAddress: '127.0.0.1:1',
  }
  const channel = new PeerChannel({
    sockets: new SecureSockets({
      secret: new Secret('secret'),
      clock,
      random: () => random.next(),
      log: silentLog,
    }),
    clock,
    log: silentLog,
    self: () => member,
    onDialed: () => undefined,
    onHeard: () => {
      heard++
    },
    answer,
    beacon: () => Buffer.from(`beacon of ${name}`),
    ...(options.limits && { limits: options.limits }),
    ...(options.protocolVersion && { protocolVersion: options.protocolVersion }),
  })
  const port = await channel.listen({ host: '127.0.0.1', port: 0 })
  member = { ...member, forwardAddress: `127.0.0.1:${port}` }
  t.teardown(() => channel.close())
  return { channel, member, heard: () => heard }
}

function lineBetween(from: Node, to: Node, onClosed: () => void = () => undefined): Promise<Line> {
  return from.channel.dial(parseAddress(to.member.forwardAddress), onClosed)
}

t.test('a stream of messages survives being cut anywhere', async t => {
  const made = new Random(7)
  const sent: Message[] = Array.from({ length: 200 }, (_, id) => ({
    type: made.pick(['request', 'reply', 'failure'] as const),
    id,
    kind: '',
    body: Buffer.alloc(made.below(made.chance(0.1) ? 100_000 : 200), id),
  }))
  const outgoing = new OutgoingMessages()
  for (const message of sent) outgoing.add(message)
  const received: Message[] = []
  const incoming = new IncomingMessages(1_000_000, message => received.push(message))
  for (;;) {
    const batch = outgoing.take(1 + made.below(3_000))
    if (batch === undefined) break
    incoming.add(Buffer.concat(batch))
  }
  t.same(received, sent)
  t.equal(outgoing.bytes, 0)
  t.throws(() => incoming.add(Buffer.from([255, 255, 255, 255, 1])), { code: 'damaged' })
})

t.test('messages arrive in order, each once, and share batches', async t => {
  const seen: number[] = []
  const b = await node(t, 'b', (_from, _kind, body) => {
    seen.push(body.readUInt32BE(0))
    return body
  })
  const a = await node(t, 'a')
  const line = await lineBetween(a, b)
  t.same(line.remote, b.member)
  const replies: Promise<Buffer>[] = []
  for (let round = 0; round < 20; round++) {
    for (let index = 0; index < 500; index++) {
      const body = Buffer.alloc(index % 50 === 0 ? 50_000 : 8)
      body.writeUInt32BE(round * 500 + index)
      replies.push(line.call('count', body, 10_000))
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  const numbers = (await Promise.all(replies)).map(reply => reply.readUInt32BE(0))
  const expected = Array.from({ length: 10_000 }, (_, index) => index)
  t.same(numbers, expected)
  t.same(seen, expected)
  const { sent, batches } = a.channel.counters
  t.equal(sent, 10_000)
  t.comment(`${sent} messages in ${batches} batches`)
  t.equal(a.channel.counters.resets, 0)
})

t.test('20 MB there and back, and small calls beside it', async t => {
  const b = await node(t, 'b')
  const a = await node(t, 'a')
  const line = await lineBetween(a, b)
  const large = Buffer.alloc(20_000_000)
  for (let index = 0; index < large.length; index += 4_096) large.writeUInt32BE(index, index)
  const startedMs = Date.now()
  const [reply, small] = await Promise.all([
    line.call('echo', large, 20_000),
    line.call('echo', Buffer.from('small'), 20_000),
  ])
  t.comment(`20 MB there and back in ${Date.now() - startedMs} ms`)
  t.ok(reply.equals(large))
  t.equal(String(small), 'small')
  t.equal(a.channel.counters.resets + b.channel.counters.resets, 0)
})

t.test('bursts in both directions never reset the connection', async t => {
  const b = await node(t, 'b')
  const a = await node(t, 'a')
  const [there, back] = await Promise.all([lineBetween(a, b), lineBetween(b, a)])
  const body = Buffer.alloc(4_096, 1)
  const startedMs = Date.now()
  const replies = await Promise.all(
    Array.from({ length: 4_000 }, (_, index) => (index % 2 === 0 ? there : back).call('echo', body, 20_000)),
  )
  t.comment(`4000 calls of 4 KiB in ${Date.now() - startedMs} ms`)
  t.ok(replies.every(reply => reply.equals(body)))
  await Promise.all(Array.from({ length: 4_000 }, () => there.call('echo', body, 20_000)))
  t.equal(a.channel.counters.resets + b.channel.counters.resets, 0)
})

t.test('bounds: message, queue bytes, queue count, deadline', async t => {
  const limits = { messageBytesMax: 1_000, queueBytesMax: 20_000, queueMessagesMax: 16 }
  const b = await node(t, 'b', () => new Promise(() => undefined), { limits })
  const a = await node(t, 'a', undefined, { limits })
  const line = await lineBetween(a, b)
  await t.rejects(line.call('never', Buffer.alloc(1_001), 1_000), { code: 'too-large' })
  const results = await Promise.allSettled(
    Array.from({ length: 30 }, () => line.call('never', Buffer.alloc(900), 200)),
  )
  const codes = results.map(result => (result.status === 'rejected' ? result.reason.code : 'answered'))
  t.equal(codes.filter(code => code === 'timeout').length, 16)
  t.equal(codes.filter(code => code === 'queue-full').length, 14)
  t.notOk(line.isClosed)
})

t.test('errors of handlers arrive as they are, anything else as internal', async t => {
  const b = await node(t, 'b', (_from, kind) => {
    if (kind === 'known') throw new AppError('conflict', 'Taken.', { fields: { name: 'taken' } })
    throw new Error('a secret detail')
  })
  const a = await node(t, 'a')
  const line = await lineBetween(a, b)
  await t.rejects(line.call('known', Buffer.alloc(0), 1_000), {
    code: 'conflict',
    message: 'Taken.',
    fields: { name: 'taken' },
  })
  await t.rejects(line.call('unknown', Buffer.alloc(0), 1_000), {
    code: 'internal',
    message: 'Something went wrong on our side.',
  })
})

t.test('a lost connection rejects what is pending, at once; a dial to nobody is refused', async t => {
  const b = await node(t, 'b', () => new Promise(() => undefined))
  const a = await node(t, 'a')
  let isClosed = false
  const line = await lineBetween(a, b, () => {
    isClosed = true
  })
  const pending = Array.from({ length: 10 }, () => line.call('never', Buffer.alloc(10), 60_000))
  const settled = Promise.allSettled(pending)
  await eventuallyTrue('received', () => b.channel.counters.received === 10)
  await b.channel.close()
  t.ok((await settled).every(result => result.status === 'rejected' && result.reason.code === 'unavailable'))
  t.ok(isClosed)
  await t.rejects(line.call('never', Buffer.alloc(10), 60_000), { code: 'unavailable' })
  const error = await lineBetween(a, b).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  t.ok(error instanceof DialError && error.isRefused)
})

t.test('a newer dial of the same life ends the older one; beacons answer', async t => {
  const b = await node(t, 'b')
  const a = await node(t, 'a')
  const first = await lineBetween(a, b)
  t.equal(String(await first.beacon()), 'beacon of b')
  const second = await lineBetween(a, b)
  await eventuallyTrue('the older line is closed', () => first.isClosed)
  t.equal(String(await second.call('echo', Buffer.from('still'), 1_000)), 'still')
  t.ok(b.channel.isDialedBy(a.member.nodeId))
  second.close()
  await eventuallyTrue('the other side knows', () => !b.channel.isDialedBy(a.member.nodeId))
})

t.test('connections lost again and again: still in order, each at most once', async t => {
  const seen: number[] = []
  const b = await node(t, 'b', (_from, _kind, body) => {
    seen.push(body.readUInt32BE(0))
    return body.subarray(0, 4)
  })
  const a = await node(t, 'a')
  const made = new Random(11)
  const answered: number[] = []
  const failed: number[] = []
  let next = 0
  let line = await lineBetween(a, b)
  for (let round = 0; round < 60; round++) {
    const calls = Array.from({ length: made.below(200) }, async () => {
      const number = next++
      const body = Buffer.alloc(made.chance(0.05) ? 300_000 : 40)
      body.writeUInt32BE(number)
      await line.call('count', body, 10_000).then(
        () => answered.push(number),
        () => failed.push(number),
      )
    })
    if (made.chance(0.5)) {
      for (let turns = made.below(4); turns > 0; turns--) await new Promise(resolve => setImmediate(resolve))
      // The old connection may still hold bytes that nobody has read: they must not come after newer ones.
      if (made.chance(0.5)) line.close()
      line = await lineBetween(a, b)
    } else {
      await Promise.all(calls)
    }
  }
  await eventuallyTrue('all are settled', () => answered.length + failed.length === next)
  t.comment(`${answered.length} answered, ${failed.length} failed, ${seen.length} executed, of ${next}`)
  t.ok(failed.length > 0)
  t.ok(seen.every((number, index) => index === 0 || number > (seen[index - 1] ?? 0)))
  const executed = new Set(seen)
  t.ok(
    answered.every(number => executed.has(number)),
    'no answer without execution',
  )
})

/** The other end of a secure connection, by hand. */
async function byHand(t: Test, onSocket: (socket: TLSSocket) => void = () => undefined) {
  const clock = systemClock()
  const sockets = new SecureSockets({
    secret: new Secret('secret'),
    clock,
    random: () => random.next(),
    log: silentLog,
  })
  const listener = await sockets.listen('test', { host: '127.0.0.1', port: 0 }, socket => {
    t.teardown(() => socket.destroy())
    onSocket(socket)
  })
  t.teardown(() => listener.close())
  return { sockets, address: { host: '127.0.0.1', port: listener.port } }
}

const frame = (type: number, payload: Buffer | string): Buffer => {
  const body = Buffer.from(payload)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1, 0)
  head.writeUInt8(type, 4)
  return Buffer.concat([head, body])
}

t.test('who knows the secret and speaks nonsense is hung up on, and nobody else notices', async t => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  const line = await lineBetween(a, b)
  const { sockets } = await byHand(t)
  const hello = JSON.stringify({ ...a.member, nodeId: 'node-x-0000', protocol: 1, dial: 1 })
  const nonsense: [string, Buffer[]][] = [
    ['no frame', [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ['a frame of no bytes', [Buffer.alloc(5)]],
    ['a frame too long', [Buffer.from([0, 1, 0, 2, 1])]],
    ['an unknown type', [frame(99, '')]],
    ['a batch before the hello', [frame(4, 'batch')]],
    ['a hello that is none', [frame(1, '{')]],
    ['a hello too long', [frame(1, Buffer.alloc(5_000, 32))]],
    ['two hellos', [frame(1, hello), frame(1, hello)]],
    ['a batch that does not parse', [frame(1, hello.replace('-x-', '-y-')), frame(4, Buffer.alloc(8, 255))]],
  ]
  for (const [what, frames] of nonsense) {
    const socket = sockets.connect(parseAddress(b.member.forwardAddress))
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.on('error', () => undefined)
    socket.resume()
    for (const bytes of frames) {
      // One byte at a time: nothing depends on how they come.
      for (const byte of bytes.subarray(0, 600)) socket.write(Buffer.from([byte]))
      socket.write(bytes.subarray(600))
    }
    await closed
    t.pass(what)
  }
  t.equal(String(await line.call('echo', Buffer.from('still'), 1_000)), 'still')
})

t.test('a peer that leaves signs of life unanswered is given up, one that answers is not', async t => {
  const a = await node(t, 'a')
  let pongs = true
  const { address } = await byHand(t, socket => {
    let isGreeted = false
    socket.on('data', (bytes: Buffer) => {
      if (!isGreeted) {
        isGreeted = true
        socket.write(frame(2, JSON.stringify({ ...a.member, nodeId: 'node-s-0000', protocol: 1, dial: 0 })))
      } else if (pongs) {
        for (let at = 0; at < bytes.length; at += 5) if (bytes[at + 4] === 7) socket.write(frame(8, ''))
      }
    })
  })
  let isClosed = false
  const line = await a.channel.dial(address, () => {
    isClosed = true
  })
  const pending = line.call('never', Buffer.alloc(10), 60_000)
  const rejected = t.rejects(pending, { code: 'unavailable' })
  for (let asked = 1; asked <= 40; asked++) {
    line.ping()
    await eventuallyTrue('it has answered', () => a.heard() === asked)
  }
  t.notOk(line.isClosed)
  pongs = false
  const beacon = line.beacon()
  for (let asked = 0; asked < 40 && !line.isClosed; asked++) line.ping()
  t.ok(isClosed)
  await rejected
  t.equal(await beacon, undefined)
})

t.test('neighbouring protocol versions talk, distant ones refuse each other', async t => {
  const [one, two, three] = [
    await node(t, 'one', undefined, { protocolVersion: 1 }),
    await node(t, 'two', undefined, { protocolVersion: 2 }),
    await node(t, 'three', undefined, { protocolVersion: 3 }),
  ]
  t.equal(String(await (await lineBetween(one, two)).call('echo', Buffer.from('hi'), 1_000)), 'hi')
  t.equal(String(await (await lineBetween(three, two)).call('echo', Buffer.from('hi'), 1_000)), 'hi')
  await t.rejects(lineBetween(one, three), { code: 'unavailable' })
})
