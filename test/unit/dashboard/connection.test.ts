/** The browser's connection, against servers that take it and then say nothing. */
import t, { type Test } from 'tap'
import { type WebSocket, WebSocketServer, WebSocket as WsSocket } from 'ws'
import { Connection } from '../../../lib/dashboard/connection.js'
import { eventuallyTrue } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

Object.assign(globalThis, { WebSocket: WsSocket })

type Frame = { id: number; method: string }

/** A server whose sockets answer what `answers` says yes to. */
async function server(
  t: Test,
  answers: (socketNumber: number, frame: Frame) => boolean,
  newId: (socketNumber: number, frame: Frame) => string | undefined = () => undefined,
) {
  const frames: { socket: number; method: string }[] = []
  const port = await freePort()
  const sockets = new WebSocketServer({ host: '127.0.0.1', port })
  await new Promise(resolve => sockets.once('listening', resolve))
  let count = 0
  sockets.on('connection', (socket: WebSocket) => {
    const number = ++count
    socket.on('message', data => {
      const frame = JSON.parse(String(data)) as Frame
      frames.push({ socket: number, method: frame.method })
      const result = { from: number, newId: newId(number, frame) }
      if (answers(number, frame)) socket.send(JSON.stringify({ id: frame.id, result }))
    })
  })
  const connection = new Connection({
    url: `ws://127.0.0.1:${port}`,
    clientId: 'client',
    random: () => 0,
    onSignedOut: () => t.fail('nobody was signed out'),
    isSignedIn: async () => true,
  })
  t.teardown(() => {
    connection.close()
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
  })
  connection.open()
  return { connection, frames, sockets }
}

t.test(
  'a node that answers nothing any more is left after seconds, and the request goes to the next',
  async t => {
    const { connection, frames } = await server(t, (socket, { method }) => socket > 1 || method === 'hello')
    await eventuallyTrue('open', () => connection.state === 'open')
    const startedAtMs = Date.now()
    const reply = await connection.request('transaction.attach', { transactionId: 'a' } as never)
    t.same(reply, { from: 2 })
    const tookMs = Date.now() - startedAtMs
    t.ok(tookMs > 3_500, `a busy node is not given up at once: ${tookMs} ms`)
    t.ok(tookMs < 8_000, `it took ${tookMs} ms`)
    t.equal(frames.filter(({ method }) => method === 'transaction.attach').length, 2, 'once on each socket')
  },
)

t.test('a node that is slow with one answer, and alive, is kept', async t => {
  const { connection, frames } = await server(t, (_socket, { method }) => method !== 'transaction.attach')
  await eventuallyTrue('open', () => connection.state === 'open')
  const waiting = connection.request('transaction.attach', { transactionId: 'a' } as never)
  waiting.catch(() => undefined)
  await eventuallyTrue('asked twice whether it lives', () => {
    return frames.filter(({ method }) => method === 'ping').length >= 2
  })
  t.equal(connection.state, 'open')
  t.ok(frames.every(({ socket }) => socket === 1))
})

t.test('an id that the node gave is taken once, and never on another connection', async t => {
  const { connection, sockets } = await server(
    t,
    () => true,
    (socket, { method }) => (method === 'ping' ? undefined : `${method} ${socket}`),
  )
  t.equal(connection.takeNewId(), null, 'before there is a connection')
  await eventuallyTrue('open', () => connection.state === 'open')
  t.equal(connection.takeNewId(), 'hello 1')
  t.equal(connection.takeNewId(), null)
  await connection.request('transaction.start', {} as never)
  const lost = new Promise<void>(resolve => {
    connection.onState(() => resolve())
  })
  for (const socket of sockets.clients) socket.terminate()
  await lost
  t.equal(connection.takeNewId(), null, 'the node that gave it may be gone')
  await eventuallyTrue('open again', () => connection.state === 'open')
  t.equal(connection.takeNewId(), 'hello 2')
})
