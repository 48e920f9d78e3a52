/** Free ports of this machine, below the ephemeral range, where nobody's outgoing sockets can take them. */
import { createServer } from 'node:net'

const first = 20_000
const last = 32_000
/** Files that run side by side each choose from a part of them: `2/3` is the second of three. */
const [part = 1, parts = 1] = (process.env.TEST_PORTS ?? '1/1').split('/').map(Number)
const perPart = Math.floor((last - first) / parts)
/** Given out by this process: who asked may listen only later, or stop for a while. */
const given = new Set<number>()

/** A port nobody listens on right now, and nobody else will who asked here. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = first + (part - 1) * perPart + Math.floor(Math.random() * perPart)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error('no free port found')
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
