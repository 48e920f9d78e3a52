/** A websocket that is paused takes nothing more, although frames come many at a time. */
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { systemClock } from '../../lib/partitions/index.js'
import { TextSocket } from '../../lib/text-socket.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'

const frames = 300

t.test('frames that came in one piece with the one that led to a pause wait, in order', async t => {
  const http = createServer()
  const server = new WebSocketServer({ server: http })
  http.listen(await freePort(), '127.0.0.1')
  await once(http, 'listening')
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
  const received: string[] = []
  const connected = new Promise<TextSocket>(resolve => {
    server.once('connection', (socket, request) => {
      const paused: TextSocket = new TextSocket(socket, request.socket, {
        clock: systemClock(),
        sendBufferBytesMax: 1_000_000,
        goodbyeMsMax: 1_000,
        received(text) {
          received.push(text.toString())
          if (received.length % 100 === 0) paused.pause()
        },
        overflowed: () => undefined,
        closed: () => undefined,
      })
      resolve(paused)
    })
  })
  t.teardown(() => {
    client.terminate()
    server.close()
    http.close()
  })
  const socket = await connected
  await once(client, 'open')
  for (let index = 0; index < frames; index += 1) client.send(`${index}`)
  for (let taken = 100; taken <= frames; taken += 100) {
    await eventually(() => {
      if (received.length < taken) throw new Error(`${received.length} of ${taken} came`)
    })
    await new Promise(resolve => setImmediate(resolve))
    t.equal(received.length, taken, 'no more than were let in')
    socket.resume()
  }
  t.same(
    received,
    Array.from({ length: frames }, (_, index) => `${index}`),
  )
})

t.test('what came in one piece with the close is taken before it', async t => {
  const socket = Object.assign(new EventEmitter(), {
    isPaused: false,
    pause: () => {
      socket.isPaused = true
    },
  })
  const taken: string[] = []
  const paused: TextSocket = new TextSocket(socket as unknown as WebSocket, new EventEmitter() as Duplex, {
    clock: systemClock(),
    sendBufferBytesMax: 1_000,
    goodbyeMsMax: 1_000,
    received(text) {
      taken.push(text.toString())
      paused.pause()
    },
    overflowed: () => undefined,
    closed: () => taken.push('closed'),
  })
  for (const text of ['a', 'b', 'c']) socket.emit('message', Buffer.from(text), false)
  t.same(taken, ['a'])
  socket.emit('close')
  t.same(taken, ['a', 'b', 'c', 'closed'])
})
