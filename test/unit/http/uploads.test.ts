/** Files over HTTP, with the storage played by the test: bodies that come slowly, stop, or fail on their way out. */
import { connect } from 'node:net'
import t from 'tap'
import type { AccountsService } from '../../../lib/accounts/index.js'
import { AppError } from '../../../lib/errors.js'
import { limits } from '../../../lib/limits.js'
import type { OpenedFile } from '../../../lib/uploads/index.js'
import { eventually } from '../../support/eventually.js'
import { testServer } from './test-server.js'

const id = 'A'.repeat(43)
const path = `/api/v1/uploads/${id}`
const audited: string[] = []
const accounts = {
  clock: { nowMs: () => 0 },
  audit: ({ name }: { name: string }) => audited.push(name),
} as unknown as AccountsService
const fileHeaders = { 'content-type': 'text/plain', 'content-disposition': 'attachment' }

async function subject(t: Parameters<typeof testServer>[0], part: Partial<typeof limits> = {}) {
  const got: string[] = []
  const failures: unknown[] = []
  let file: OpenedFile = { redirect: 'https://store.example.com/x' }
  const { origin } = await testServer(t, accounts, {
    limits: { ...limits, ...part },
    uploads: {
      checkSend(_id, query) {
        if (query.get('signature') !== 'good') throw new AppError('forbidden', 'This link is not valid.')
        return Number(query.get('size'))
      },
      async receive(_id, _size, bytes) {
        try {
          for await (const piece of bytes) got.push(String(piece))
        } catch (error) {
          failures.push(error)
          throw error
        }
      },
      openFile: async () => file,
    },
  })
  return {
    origin,
    got,
    failures,
    open(given: OpenedFile) {
      file = given
    },
    /** A request whose body comes when the test says so. */
    slowly(method: string, target: string, length: number, type = 'application/json') {
      const { port } = new URL(origin)
      const socket = connect(Number(port), '127.0.0.1')
      let answer = ''
      let isClosed = false
      socket.on('data', data => {
        answer += String(data)
      })
      socket.on('error', () => undefined)
      socket.on('close', () => {
        isClosed = true
      })
      const head = [
        `${method} ${target} HTTP/1.1`,
        'host: x',
        `content-type: ${type}`,
        `content-length: ${length}`,
      ]
      socket.write(`${head.join('\r\n')}\r\n\r\n`)
      return {
        write: (text: string) => socket.write(text),
        get answer() {
          return answer
        },
        get isClosed() {
          return isClosed
        },
      }
    },
  }
}

t.test('a file may come slowly, nothing else may', async t => {
  const { got, slowly } = await subject(t, { requestMsMax: 200, uploadStalledMsMax: 10_000 })
  const json = slowly('POST', '/api/v1/session', 50)
  json.write('{')
  const file = slowly('PUT', `${path}?signature=good&size=4`, 4, 'text/plain')
  file.write('ab')
  await eventually(() => {
    if (!json.isClosed) throw new Error('the slow body is still waited for')
  })
  t.equal(file.isClosed, false)
  file.write('cd')
  await eventually(() => {
    if (!file.answer.startsWith('HTTP/1.1 200')) throw new Error(`answered: ${file.answer}`)
  })
  t.equal(got.join(''), 'abcd')
})

t.test('a file that stops coming is given up', async t => {
  const { failures, slowly } = await subject(t, { uploadStalledMsMax: 200 })
  const file = slowly('PUT', `${path}?signature=good&size=4`, 4, 'text/plain')
  file.write('ab')
  await eventually(() => {
    if (!file.isClosed) throw new Error('it is still waited for')
  })
  t.match(failures, [{ code: 'bad-request', message: 'The file was cut off.' }])
})

t.test('whoever sends what is refused hears why', async t => {
  const { got, origin } = await subject(t)
  const body = new Uint8Array(3_000_000)
  const refused = await fetch(`${origin}${path}?signature=bad&size=3000000`, { method: 'PUT', body })
  t.equal(refused.status, 403)
  t.match(await refused.json(), { code: 'forbidden' })
  t.same(got, [])
  t.ok(audited.includes('access.denied'))
  const other = await fetch(`${origin}${path}?signature=good&size=5`, { method: 'PUT', body })
  t.equal(other.status, 400)
})

t.test('a file that cannot be read to its end is not taken for whole', async t => {
  const { open, origin } = await subject(t)
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('half')
    throw new Error('the disk is gone')
  }
  open({ headers: fileHeaders, size: 8, bytes: broken() })
  await t.rejects(fetch(origin + path).then(response => response.text()))
  async function* whole(): AsyncGenerator<Buffer> {
    yield Buffer.from('whole')
  }
  open({ headers: fileHeaders, size: 5, bytes: whole() })
  t.equal(await (await fetch(origin + path)).text(), 'whole')
})

t.test('a file elsewhere is led to', async t => {
  const { origin } = await subject(t)
  const led = await fetch(origin + path, { redirect: 'manual' })
  t.equal(led.status, 302)
  t.equal(led.headers.get('location'), 'https://store.example.com/x')
  t.equal(led.headers.get('cache-control'), 'no-store')
})
