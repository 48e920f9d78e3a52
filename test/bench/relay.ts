/**
 * The reference: a bare `ws` server that passes the frames of a round trip on without looking into them, in the same
 * number and direction as ours (five in, six out), and one that only holds sockets. A process of its own.
 */
import { type WebSocket, WebSocketServer } from 'ws'

const server = new WebSocketServer({
  port: Number(process.argv[2]),
  host: '127.0.0.1',
  perMessageDeflate: false,
})
const sockets = new Map<string, WebSocket>()
const filler = 'x'.repeat(160)

/** The first character says what a frame is: C a call, A an answer, K an acknowledgement, R a response. */
server.on('connection', (socket, request) => {
  const name = request.url ?? ''
  const peer = name.startsWith('/h') ? name.replace('/h', '/b') : name.replace('/b', '/h')
  sockets.set(name, socket)
  socket.on('close', () => sockets.delete(name))
  socket.on('message', data => {
    const text = String(data)
    const other = sockets.get(peer)
    if (text[0] === 'C') {
      socket.send('K')
      other?.send(text)
      socket.send(`R${filler}`)
    } else if (text[0] === 'A') {
      socket.send(`R${filler}`)
      other?.send(text)
    } else if (text[0] === 'R') socket.send('K')
  })
})
server.on('listening', () => process.stdout.write('ready\n'))
