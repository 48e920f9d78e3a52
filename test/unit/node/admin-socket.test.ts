/** The local socket of the `admin` command: who may open it, what goes through, what is bounded. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import {
  type AdminHandler,
  adminMessageBytesMax,
  askAdmin,
  isNobodyThere,
  listenAdmin,
} from '../../../lib/node/admin-socket.js'

const handler: AdminHandler = async (operation, argument) => {
  if (operation === 'echo') return argument
  if (operation === 'nothing') return undefined
  if (operation === 'large') return 'x'.repeat(adminMessageBytesMax)
  if (operation === 'refuse') throw new AppError('conflict', 'The slug is taken.')
  throw new Error('a detail nobody may see')
}

/** A path short enough for a socket. */
function socketPath(t: { teardown(work: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'admin-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'admin.sock')
}

/** Sends raw text and resolves with what comes back. */
async function sendRaw(path: string, text: string): Promise<string> {
  const socket = createConnection(path)
  let received = ''
  socket.setEncoding('utf8').on('data', part => {
    received += part
  })
  socket.on('error', () => {})
  socket.write(text)
  await once(socket, 'close')
  return received
}

t.test('results and errors come back as they are', async t => {
  const path = socketPath(t)
  const server = await listenAdmin(path, handler)
  t.teardown(() => server.close())
  t.equal(statSync(path).mode & 0o777, 0o600)
  const argument = { email: 'a@example.com', text: 'line\nend ✓'.repeat(20_000) }
  t.same(await askAdmin(path, 'echo', argument), argument)
  t.equal(await askAdmin(path, 'nothing', {}), null)
  await t.rejects(askAdmin(path, 'refuse', {}), { code: 'conflict', message: 'The slug is taken.' })
  const failure = await askAdmin(path, 'fail', {}).catch((error: unknown) => error)
  t.match(failure, { code: 'internal' })
  t.notMatch(String(failure), 'detail')
  await t.rejects(askAdmin(path, 'large', {}), { code: 'too-large' })
  await t.rejects(askAdmin(path, 'echo', 'x'.repeat(adminMessageBytesMax)), { code: 'too-large' })
  const answers = await Promise.all(Array.from({ length: 10 }, (_, at) => askAdmin(path, 'echo', at)))
  t.same(answers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

t.test('what is not a request is answered and does no harm', async t => {
  const path = socketPath(t)
  const server = await listenAdmin(path, handler)
  t.teardown(() => server.close())
  for (const line of [
    'nonsense',
    '[]',
    'null',
    '{}',
    '{"operation":5}',
    `{"operation":"${'x'.repeat(200)}"}`,
  ]) {
    t.match(
      JSON.parse(await sendRaw(path, `${line}\n`)),
      { error: { code: 'bad-request' } },
      line.slice(0, 20),
    )
  }
  t.match(await sendRaw(path, 'x'.repeat(adminMessageBytesMax + 1)), /too-large|^$/)
  t.equal(await askAdmin(path, 'echo', 'still here'), 'still here')
})

t.test('without a node there is nobody, also behind a socket file left by kill -9', async t => {
  const path = socketPath(t)
  t.ok(isNobodyThere(await askAdmin(path, 'echo', 1).catch((error: unknown) => error)))
  writeFileSync(path, '')
  t.ok(isNobodyThere(await askAdmin(path, 'echo', 1).catch((error: unknown) => error)))
  const server = await listenAdmin(path, handler)
  t.equal(await askAdmin(path, 'echo', 1), 1)
  await server.close()
  t.notOk(isNobodyThere(new AppError('conflict')))
})
