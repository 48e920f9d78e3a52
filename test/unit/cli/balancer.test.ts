/** The balancer in front of a local cluster: in turn, past the dead, both ways to the end. */
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createConnection, createServer, type Server } from 'node:net'
import t from 'tap'
import { Balancer } from '../../../lib/node/balancer.js'
import { eventually } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

/** A server that says its name to whoever has ended what it had to say, and repeats that. */
async function echo(name: string): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    let text = ''
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    socket.on('end', () => socket.end(`${name}:${text}`))
    socket.on('error', () => socket.destroy())
  })
  await listen(server)
  return server
}

async function listen(server: Server): Promise<void> {
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
}

const targetOf = (server: Server) => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })

/** What comes back; empty when the connection was closed without a word. */
function ask(port: number, text: string): Promise<string> {
  return new Promise(resolve => {
    const socket = createConnection({ port, host: '127.0.0.1', allowHalfOpen: true })
    let answer = ''
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part
    })
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(answer))
    socket.end(text)
  })
}

t.test('each connection goes to the next node', async t => {
  const servers = await Promise.all(['a', 'b', 'c'].map(echo))
  const balancer = new Balancer({ targets: servers.map(targetOf) })
  const port = await balancer.listen(await freePort())
  t.teardown(async () => {
    await balancer.close()
    for (const server of servers) server.close()
  })
  const answers: string[] = []
  for (let count = 0; count < 6; count += 1) answers.push(await ask(port, 'hello'))
  t.same(answers, ['a:hello', 'b:hello', 'c:hello', 'a:hello', 'b:hello', 'c:hello'])
  const long = 'x'.repeat(3_000_000)
  t.equal((await ask(port, long)).length, long.length + 2, 'nothing is lost')
})

t.test('a node that is dead is passed over, and taken again', async t => {
  const living = await echo('living')
  const dead = { host: '127.0.0.1', port: await freePort() }
  const balancer = new Balancer({ targets: [dead, targetOf(living)], retryMs: 100 })
  const port = await balancer.listen(await freePort())
  t.teardown(() => balancer.close())
  for (let count = 0; count < 4; count += 1) t.equal(await ask(port, '1'), 'living:1')
  const risen = createServer({ allowHalfOpen: true }, socket => socket.resume().end('risen'))
  await new Promise<void>(resolve => risen.listen(dead.port, '127.0.0.1', resolve))
  await eventually(async () => {
    if ((await ask(port, '1')) !== 'risen') throw new Error('not taken yet')
  }, 5_000)
  risen.close()
  living.close()
  t.equal(await ask(port, '1'), '', 'nobody is there: closed, not held')
})

t.test('a node that says it is not ready is passed over', async t => {
  const states = [200, 200]
  const servers = await Promise.all(
    states.map(async (_status, index) => {
      const server = createHttpServer((request, response) => {
        response.writeHead(request.url === '/health/ready' ? (states[index] ?? 200) : 200)
        response.end(String(index))
      })
      await listen(server)
      return server
    }),
  )
  const balancer = new Balancer({ targets: servers.map(targetOf), healthPath: '/health/ready', retryMs: 50 })
  const port = await balancer.listen(await freePort())
  t.teardown(async () => {
    await balancer.close()
    for (const server of servers) server.close()
  })
  const seen = async (): Promise<string> => {
    const answers = new Set<string>()
    for (let count = 0; count < 4; count += 1) {
      const headers = { connection: 'close' }
      answers.add(await (await fetch(`http://127.0.0.1:${port}/`, { headers })).text())
    }
    return [...answers].sort().join()
  }
  t.equal(await seen(), '0,1')
  states[0] = 503
  await eventually(async () => {
    if ((await seen()) !== '1') throw new Error('still asked')
  }, 5_000)
  states[0] = 200
  await eventually(async () => {
    if ((await seen()) !== '0,1') throw new Error('not asked yet')
  }, 5_000)
})
