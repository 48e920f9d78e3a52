/** Files on real partitions, with a virtual clock and a run that the test plays: how long they are there, and how many. */
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { ClientId, OrganizationId, UserId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import {
  type EntityKind,
  openPartitions,
  type Partitions,
  VirtualClock,
} from '../../../lib/partitions/index.js'
import {
  type ByteStorage,
  chunkKind,
  diskStorage,
  fileHeaders,
  ringStorage,
  spaceKind,
  type Upload,
  UploadLinks,
  type UploadPlace,
  type UploadStorage,
  Uploads,
  uploadKind,
} from '../../../lib/uploads/index.js'
import { SmallDisk } from '../../support/small-disk.js'
import { codeOf, eventually as eventuallyNamed } from '../partitions/support.js'

const hourMs = 3_600_000
const eventually = (condition: () => boolean | Promise<boolean>): Promise<void> =>
  eventuallyNamed(condition, String(condition), 20_000)

const asker = {
  clientId: 'client-1' as ClientId,
  userId: 'person-1' as UserId,
  organizationId: 'organization-1' as OrganizationId,
}

/** What a transaction says here: whether it goes on, and that it takes everything. */
const runs = new Map<string, 'goes on' | 'has ended'>()
const runKind: EntityKind<null, { type: string }> = {
  name: 'transaction',
  load: () => null,
  decide(state, message, { key }) {
    const run = runs.get(key)
    if (message.type === 'locate') return { state, reply: run ? { hasEnded: run === 'has ended' } : null }
    if (message.type === 'allow-uploads' && !run) throw new AppError('transaction-closed')
    return { state, reply: {} }
  },
}

class Subject {
  readonly links = new UploadLinks('a secret')
  requests = 0

  private constructor(
    readonly partitions: Partitions,
    readonly clock: VirtualClock,
    readonly uploads: Uploads,
    readonly folder: string,
  ) {}

  static async begin(t: { teardown(work: () => unknown): unknown }, place: UploadPlace): Promise<Subject> {
    const clock = new VirtualClock()
    const partitions = await openPartitions({ storage: { backend: 'memdown' }, clock, log: silentLog })
    for (const kind of [uploadKind, chunkKind, spaceKind, runKind]) partitions.register(kind)
    const folder = mkdtempSync(join(tmpdir(), 'interval-uploads-'))
    const storages = new Map<UploadPlace, UploadStorage>([
      ['disk', diskStorage({ folder, sync: false })],
      ['ring', ringStorage(partitions)],
    ])
    const links = new UploadLinks('a secret')
    const uploads = new Uploads({ runtime: partitions, clock, log: silentLog, links, storages, place })
    await partitions.start()
    t.teardown(async () => {
      const stopped = partitions.stop({ deadlineMs: 0 })
      clock.advance(60_000)
      await stopped
      rmSync(folder, { recursive: true, force: true })
    })
    return new Subject(partitions, clock, uploads, folder)
  }

  grant(transactionId: string, ...sizes: number[]) {
    this.requests += 1
    return this.uploads.grant({
      asker,
      origin: 'http://interval.test',
      transactionId,
      requestId: `request-${this.requests}`,
      inputGroupKey: 'group',
      component: 0,
      files: sizes.map((size, index) => ({ name: `${index}.txt`, type: 'text/plain', size })),
    })
  }

  async send(transactionId: string, body: string): Promise<string> {
    const [grant] = await this.grant(transactionId, body.length)
    if (!grant) throw new Error('no link')
    await this.uploads.receive(grant.id, body.length, pieces(body))
    return grant.id
  }

  /** Null when it is not there any more. */
  async read(id: string): Promise<string | null> {
    const query = new URL(this.links.readPath(id), 'http://x').searchParams
    try {
      const file = await this.uploads.openFile(id, query)
      if (!('bytes' in file)) return null
      const all: Buffer[] = []
      for await (const piece of file.bytes) all.push(piece)
      return Buffer.concat(all).toString()
    } catch (error) {
      if (error instanceof AppError && error.code === 'not-found') return null
      throw error
    }
  }

  /** Time passes in steps, and what is due is done in between. */
  async pass(ms: number, stepMs = hourMs): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs))
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  }

  /** Time passes, `ms` of it, and no more once this holds; what is due then may take its real time. */
  async passUntil(condition: () => Promise<boolean>, ms: number): Promise<void> {
    let leftMs = ms
    await eventually(async () => {
      if (await condition()) return true
      // Afterwards only as much as what is under way needs, to be tried again for instance.
      const stepMs = leftMs > 0 ? hourMs / 4 : 1_000
      await this.pass(stepMs, stepMs)
      leftMs -= stepMs
      // Whoever waits for an answer does so for 15 s of this clock: what is under way ends before time passes again.
      await new Promise(resolve => setTimeout(resolve, 20))
      return false
    })
  }

  /** Keys of everything that is stored of one kind. */
  async keys(kind: string): Promise<string[]> {
    const found: string[] = []
    for (let partition = 0; partition < 256; partition += 1) {
      const { entities } = await this.partitions.list(kind, partition as never, { after: '', limit: 1_000 })
      found.push(...entities.map(({ key }) => key))
    }
    return found
  }
}

async function* pieces(body: string, failAfter = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += 100_000) {
    if (at >= failAfter) throw new AppError('bad-request', 'The file was cut off.')
    yield Buffer.from(body.slice(at, at + 100_000))
  }
}

for (const place of ['disk', 'ring'] as const) {
  const body = 'x'.repeat(limits.uploadChunkBytes * 2 + 17)

  t.test(
    `${place}: a file is there for 48 hours and for as long as its run goes on, then nothing is`,
    async t => {
      const subject = await Subject.begin(t, place)
      runs.set('transaction:long', 'goes on')
      runs.set('transaction:short', 'goes on')
      const long = await subject.send('long', body)
      const short = await subject.send('short', body)
      runs.set('transaction:short', 'has ended')
      t.equal(await subject.read(long), body)
      await subject.pass(47 * hourMs)
      t.equal(await subject.read(short), body, 'the end of the run ends no promise')
      await subject.passUntil(async () => (await subject.read(short)) === null, 48 * hourMs)
      t.equal(await subject.read(long), body)
      await subject.pass(5 * 24 * hourMs, 3 * hourMs)
      t.equal(await subject.read(long), body, 'its run goes on')
      runs.set('transaction:long', 'has ended')
      await subject.passUntil(async () => (await subject.read(long)) === null, 48 * hourMs)
      await subject.passUntil(async () => (await subject.keys('upload-chunk')).length === 0, hourMs)
      await subject.passUntil(async () => (await subject.keys('upload-space')).length === 0, hourMs)
      t.same(await subject.keys('upload'), [])
      await eventually(() => readdirSync(subject.folder).length === 0)
    },
  )

  t.test(`${place}: what was not sent within its hour, or only in part, goes`, async t => {
    const subject = await Subject.begin(t, place)
    runs.set('transaction:run', 'goes on')
    const [never, partly] = await subject.grant('run', body.length, body.length)
    const cutOff = subject.uploads.receive(partly?.id ?? '', body.length, pieces(body, 400_000))
    t.equal(await codeOf(cutOff), 'bad-request')
    await eventually(async () => (await subject.keys('upload-chunk')).length === 0)
    t.same(readdirSync(subject.folder), [], 'nothing is left of what was cut off')
    t.equal((await subject.keys('upload')).length, 2)
    await subject.pass(hourMs)
    t.equal((await subject.keys('upload')).length, 2, 'within the hour of their links')
    await subject.passUntil(async () => (await subject.keys('upload')).length === 0, hourMs / 2)
    await subject.passUntil(async () => (await subject.keys('upload-space')).length === 0, hourMs / 2)
    t.equal(await codeOf(subject.uploads.receive(never?.id ?? '', body.length, pieces(body))), 'not-found')
  })

  t.test(`${place}: two send at once: one counts, whole`, async t => {
    const subject = await Subject.begin(t, place)
    runs.set('transaction:run', 'goes on')
    const [grant] = await subject.grant('run', body.length)
    const id = grant?.id ?? ''
    const other = body.replaceAll('x', 'y')
    const outcomes = await Promise.all(
      [body, other].map(each => codeOf(subject.uploads.receive(id, body.length, pieces(each)))),
    )
    t.same(outcomes.filter(code => code === 'conflict').length, 1, outcomes.join())
    const read = await subject.read(id)
    t.ok(read === body || read === other, 'not a mixture')
  })

  t.test(`${place}: more or less than was announced is no file`, async t => {
    const subject = await Subject.begin(t, place)
    runs.set('transaction:run', 'goes on')
    const [grant] = await subject.grant('run', 5)
    const id = grant?.id ?? ''
    t.equal(await codeOf(subject.uploads.receive(id, 5, pieces('longer'))), 'too-large')
    t.equal(await codeOf(subject.uploads.receive(id, 5, pieces('less'))), 'bad-request')
    t.equal(await subject.read(id), null)
    await subject.uploads.receive(id, 5, pieces('right'))
    t.equal(await subject.read(id), 'right')
    for (let attempt = 3; attempt < limits.uploadAttemptsMax; attempt += 1) {
      // A complete file takes no further attempt.
      t.equal(await codeOf(subject.uploads.receive(id, 5, pieces('wrong'))), 'conflict')
    }
  })
}

t.test('the room of an organization is limited, and given back', async t => {
  const subject = await Subject.begin(t, 'disk')
  runs.set('transaction:run', 'goes on')
  const count = limits.uploadBytesPerOrganizationMax / limits.uploadBytesMax
  for (let index = 0; index < count; index += 1) await subject.grant('run', limits.uploadBytesMax)
  t.equal(await codeOf(subject.grant('run', 1)), 'storage-full')
  await subject.grant('run', 0)
  await subject.pass(hourMs)
  await subject.passUntil(async () => (await subject.keys('upload-space')).length === 0, hourMs)
  await subject.grant('run', 1)
})

t.test('a refusal of the run takes no room', async t => {
  const subject = await Subject.begin(t, 'disk')
  t.equal(await codeOf(subject.grant('unknown', 5)), 'transaction-closed')
  await eventually(async () => (await subject.keys('upload-space')).length === 0)
  t.same(await subject.keys('upload'), [])
})

t.test('a piece without an upload asks, and goes', async t => {
  const subject = await Subject.begin(t, 'ring')
  const message = { type: 'put', id: 'A'.repeat(43), attempt: 1, base64: 'eA==' }
  await subject.partitions.send(`upload-chunk:${'A'.repeat(43)}.1.0`, message)
  t.equal((await subject.keys('upload-chunk')).length, 1)
  await subject.pass(48 * hourMs)
  t.equal((await subject.keys('upload-chunk')).length, 1, 'it may be wanted for so long')
  await subject.passUntil(async () => (await subject.keys('upload-chunk')).length === 0, 3 * hourMs)
})

t.test('files without an upload go at a start, others stay', async t => {
  const subject = await Subject.begin(t, 'disk')
  runs.set('transaction:run', 'goes on')
  const id = await subject.send('run', 'known')
  writeFileSync(join(subject.folder, `${'B'.repeat(43)}.1`), 'unknown')
  writeFileSync(join(subject.folder, 'notes.txt'), 'not ours')
  await subject.uploads.sweep()
  t.same(readdirSync(subject.folder).sort(), [`${id}.1`, 'notes.txt'].sort())
})

const listsOpenFiles = existsSync('/proc/self/fd')
t.test('a file that nobody reads is not open', { skip: !listsOpenFiles }, async t => {
  const subject = await Subject.begin(t, 'disk')
  const { folder, links, uploads } = subject
  runs.set('transaction:open', 'goes on')
  const id = await subject.send('open', 'hello')
  const query = new URL(links.readPath(id), 'http://x').searchParams
  // What is asked for with HEAD is never read.
  for (let count = 0; count < 20; count += 1) await uploads.openFile(id, query)
  t.equal(await subject.read(id), 'hello')
  const open = readdirSync('/proc/self/fd').filter(name => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith(folder)
    } catch {
      return false
    }
  })
  t.same(open, [])
})

t.test('a full disk is said, and leaves nothing', async t => {
  const disk = SmallDisk.mount(80)
  if (!(disk instanceof SmallDisk)) {
    t.comment(disk.reason)
    t.end()
    return
  }
  t.teardown(() => disk.unmount())
  const folder = join(disk.path, 'uploads')
  const storage: ByteStorage = diskStorage({ folder, sync: false })
  const upload = { id: 'C'.repeat(43), size: limits.uploadBytesMax } as Upload
  t.equal(await codeOf(storage.write(upload, 1, pieces('x'))), 'storage-full', 'the reserve is not touched')
  disk.fill(1_000_000)
  // Said to be small, it is larger than what is left.
  const lying = { ...upload, size: -limits.diskFreeBytesMin } as Upload
  t.equal(await codeOf(storage.write(lying, 1, pieces('x'.repeat(3_000_000)))), 'storage-full')
  t.same(readdirSync(folder), [])
})

t.test('links are for one thing each', t => {
  const links = new UploadLinks('a secret')
  const id = links.idFor({ transactionId: 't', userId: 'u', requestId: 'r', index: 0 })
  t.match(id, /^[A-Za-z0-9_-]{43}$/)
  t.equal(links.idFor({ transactionId: 't', userId: 'u', requestId: 'r', index: 0 }), id)
  for (const other of [{ index: 1 }, { userId: 'v' }, { requestId: 's' }, { transactionId: 'x' }]) {
    t.not(links.idFor({ transactionId: 't', userId: 'u', requestId: 'r', index: 0, ...other }), id)
  }
  t.not(new UploadLinks('another').readPath(id), links.readPath(id))
  const query = (path: string) => new URL(path, 'http://x').searchParams
  t.equal(links.checkSend(id, query(links.sendPath(id, 5, 1_000)), 999), 5)
  t.throws(() => links.checkSend(id, query(links.sendPath(id, 5, 1_000)), 1_000), /has ended/)
  t.throws(() => links.checkSend(id, query(links.readPath(id)), 0), /not valid/)
  t.throws(() => links.checkRead(id, query(links.sendPath(id, 5, 1_000))), /not valid/)
  t.throws(() => links.checkRead(id, query('/')), /not valid/)
  t.end()
})

t.test('names that are hostile are names', t => {
  const name = 'a"; filename=b.html\r\nset-cookie: x=1\u0000/../\ud800\u202e😀.txt'
  const { 'content-disposition': how } = fileHeaders(name, 'text/plain; charset=x')
  t.match(how, /^attachment; filename="[A-Za-z0-9 ._()-]+"; filename\*=UTF-8''[A-Za-z0-9%._!~-]+$/)
  t.end()
})
