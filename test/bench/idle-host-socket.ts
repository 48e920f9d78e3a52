/** Memory of a connected, initialised host that does nothing; the reference is a bare `ws` socket. */
import { WebSocket } from 'ws'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { pause, print, residentKb, startPart } from './figures.js'
import { RawHost } from './raw-host.js'

const count = 5_000
const connectingAtOnce = 50
const settleMs = 5_000

async function connectAll<Item>(connect: (index: number) => Promise<Item>): Promise<Item[]> {
  const items: Item[] = []
  for (let index = 0; index < count; index += connectingAtOnce) {
    const some = Array.from({ length: Math.min(connectingAtOnce, count - index) }, (_, offset) =>
      connect(index + offset),
    )
    items.push(...(await Promise.all(some)))
  }
  return items
}

async function ours(): Promise<number> {
  const server = await TestServer.start()
  const { liveKey } = await server.seed()
  const events = { started: () => undefined, answered: () => undefined }
  const connect = () => RawHost.connect(server.endpoint, liveKey, ['first', 'second'], events)
  const first = await Promise.all(Array.from({ length: 10 }, connect))
  await pause(settleMs)
  const before = residentKb(server.pid)
  const hosts = await connectAll(connect)
  await pause(settleMs)
  const each = (residentKb(server.pid) - before) / count
  for (const host of [...first, ...hosts]) host.close()
  await server.stop()
  return each
}

async function reference(): Promise<number> {
  const port = await freePort()
  const { child } = await startPart('relay.js', [String(port)])
  const pid = child.pid ?? 0
  const connect = (index: number): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/h${index}`, { perMessageDeflate: false })
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket))
      socket.once('error', reject)
    })
  }
  const before = residentKb(pid)
  const sockets = await connectAll(connect)
  await pause(settleMs)
  const each = (residentKb(pid) - before) / count
  for (const socket of sockets) socket.terminate()
  child.kill()
  return each
}

export async function idleHostSocket(): Promise<void> {
  const bare = await reference()
  const value = await ours()
  print({ name: 'idle-host-socket', value, unit: 'KB RSS each', reference: bare, target: 'value <= 40' })
}
