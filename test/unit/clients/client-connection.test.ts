/** How the frames of one window leave: what is said about the same leaves at once, and nobody waits for what is not. */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import t from 'tap'
import type { WebSocket } from 'ws'
import type { ClientIdentity } from '../../../lib/accounts/index.js'
import { ClientConnection } from '../../../lib/clients/client-connection.js'
import { AppError } from '../../../lib/errors.js'
import { silentLog } from '../../../lib/log.js'
import { VirtualClock } from '../../../lib/partitions/clock.js'

const answer = {
  transactionId: 'transaction-1',
  requestId: 'request-1',
  inputGroupKey: 'group',
  renderId: 'render',
  kind: 'RETURN',
  values: ['Ada Quill'],
  choice: 'continue',
}

/** A window that asks, a server that answers at once, and the buffers that left. */
function connect(): { clock: VirtualClock; window: ClientConnection; ask: Ask; written: string[] } {
  const clock = new VirtualClock()
  const written: string[] = []
  const socket = Object.assign(new EventEmitter(), { OPEN: 1, readyState: 1, isPaused: false })
  const stream = Object.assign(new EventEmitter(), {
    writableLength: 0,
    write: (frames: Buffer) => written.push(frames.toString('latin1')),
  })
  const window = new ClientConnection(socket as unknown as WebSocket, stream as unknown as Duplex, {
    identity: {} as ClientIdentity,
    address: '127.0.0.1',
    origin: 'http://localhost',
    clock,
    log: silentLog,
    events: {
      async requested(_connection, { method, data }) {
        if (method === 'transaction.answer' && data.values.length === 0)
          throw new AppError('already-answered')
      },
      closed: () => undefined,
    },
  })
  const ask: Ask = async (id, method, data) => {
    socket.emit('message', Buffer.from(JSON.stringify({ id, method, data })), false)
    await turn()
  }
  return { clock, window, ask, written }
}

/** The end of a turn of the event loop: what is to leave has left. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

type Ask = (id: number, method: string, data: unknown) => Promise<void>

/** The frames of a buffer: each is below 126 bytes, after two of header. */
const frames = (written: string | undefined) => written?.split(/\x81./s).slice(1)

t.test('a reply to an answer leaves with the step that follows it, before it', async t => {
  const { clock, window, ask, written } = connect()
  await ask(1, 'transaction.answer', answer)
  clock.advance(5)
  t.same(written, [], 'it waits')
  window.send('transaction.host', { transactionId: 'transaction-1', hostConnected: true } as never)
  await turn()
  t.equal(written.length, 1, 'both have left at once')
  t.match(frames(written[0]), [/^\{"id":1,"result":\{\}\}$/, /^\{"event":"transaction\.host"/])
  clock.advance(1_000)
  t.equal(written.length, 1, 'once')
})

t.test('a reply to an answer that nothing follows leaves soon', async t => {
  const { clock, ask, written } = connect()
  await ask(1, 'transaction.answer', answer)
  clock.advance(19)
  t.same(written, [])
  clock.advance(1)
  t.same(written.map(frames), [['{"id":1,"result":{}}']])
})

t.test('other replies and refusals leave at once', async t => {
  const { ask, written } = connect()
  await ask(1, 'ping', {})
  t.same(written.map(frames), [['{"id":1,"result":{}}']])
  await ask(2, 'transaction.answer', { ...answer, values: [] })
  t.match(frames(written[1])?.[0] ?? written[1], /"id":2,"error":\{"code":"already-answered"/)
})
