/**
 * Files and those who may not: every way to send, read or name one that is not for this person, this step, this size or
 * this method is refused; what somebody has sent is never a page of ours; and what was acknowledged survives a kill.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Step, UploadGrant } from '../../lib/clients/wire.js'
import { limits } from '../../lib/limits.js'
import { UploadLinks } from '../../lib/uploads/index.js'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'
import { uploadActions } from '../support/upload-actions.js'
import { query } from './measure.js'

t.setTimeout(120_000)
const secret = randomBytes(32).toString('base64url')
const server = await TestServer.start({ environment: { SECRET: secret } })
const links = new UploadLinks(secret)
const ours = await server.seed('Ada Ours')
const theirs = await server.seed('Eve Theirs')
const browser = await BrowserClient.connect(
  server.address,
  await server.signIn(ours.user.email, ours.password),
)
const stranger = await BrowserClient.connect(
  server.address,
  await server.signIn(theirs.user.email, theirs.password),
)
const host = sdkHost('2.0.0', { endpoint: server.endpoint, apiKey: ours.liveKey, actions: uploadActions })
await host.listen()
t.teardown(async () => {
  host.close()
  browser.close()
  stranger.close()
  await server.stop()
  setTimeout(() => process.exit(), 500).unref()
})
const place = { organization: ours.organization.slug, environment: 'production' }

interface Run {
  readonly transactionId: string
  readonly step: Step
}

async function begin(slug: string, label: string): Promise<Run> {
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug }))
  return { transactionId, step: await browser.step(label, transactionId) }
}

const file = (name: string, size: number, type = 'text/plain') => ({ name, type, size })

function ask(
  { step, transactionId }: Run,
  files: ReturnType<typeof file>[],
  more: { by?: BrowserClient; component?: number; inputGroupKey?: string; requestId?: string } = {},
): Promise<{ files: UploadGrant[] }> {
  return (more.by ?? browser).ask('transaction.upload', {
    transactionId,
    requestId: more.requestId ?? randomUUID(),
    inputGroupKey: more.inputGroupKey ?? step.call.inputGroupKey,
    component: more.component ?? 0,
    files,
  })
}

async function grantOf(run: Run, ...files: ReturnType<typeof file>[]): Promise<UploadGrant> {
  const [grant] = (await ask(run, files)).files
  if (!grant) throw new Error('no link was given')
  return grant
}

const put = (url: string, body: string | Buffer, init: RequestInit = {}): Promise<Response> =>
  fetch(new URL(url, server.address), {
    method: 'PUT',
    body: typeof body === 'string' ? body : new Uint8Array(body),
    ...init,
  })

const codeOf = async (response: Response): Promise<unknown> =>
  `${response.status} ${((await response.json()) as { code?: string }).code}`

const answerOf = (grant: UploadGrant, { name, size, type }: ReturnType<typeof file>) => ({
  name,
  type,
  size,
  lastModified: 1_700_000_000_000,
  url: grant.downloadUrl,
})

function deniedUploads(): Promise<{ details: { what: string } }[]> {
  return query(
    server,
    `select details from audit_log where name = 'access.denied' and details->>'what' like any (array['upload', 'transaction.upload%'])`,
    [],
  )
}

t.test('a file goes through, and its link is asked for once however often it is asked', async t => {
  const run = await begin('one', 'Choose a photo')
  const requestId = randomUUID()
  const sent = file('../../etc/pass\nwd "x".txt', 5)
  const [first] = (await ask(run, [sent], { requestId })).files
  const [again] = (await ask(run, [sent], { requestId })).files
  t.equal(first?.id, again?.id)
  if (!first) throw new Error('no link was given')
  t.match(first.downloadUrl, new RegExp(`^${server.address}/api/v1/uploads/[A-Za-z0-9_-]{43}\\?signature=`))
  t.equal((await put(first.uploadUrl, 'hello')).status, 200)
  t.equal(await codeOf(await put(first.uploadUrl, 'HELLO')), '409 conflict', 'a complete file never changes')
  const read = await fetch(first.downloadUrl)
  t.equal(await read.text(), 'hello')
  t.equal(read.headers.get('content-type'), 'text/plain')
  t.equal(read.headers.get('x-content-type-options'), 'nosniff')
  t.match(read.headers.get('content-security-policy'), /default-src 'none'; sandbox/)
  t.equal(
    read.headers.get('content-disposition'),
    `attachment; filename="__.._etc_pass_wd _x_.txt"; filename*=UTF-8''.._.._etc_pass_wd%20%22x%22.txt`,
  )
  t.same(readdirSync(join(server.folder, 'uploads')), [`${first.id}.1`], 'no name of a browser is a path')
  const head = await fetch(first.downloadUrl, { method: 'HEAD' })
  t.equal(head.headers.get('content-length'), '5')
  await browser.answer(run.transactionId, run.step, [answerOf(first, sent)])
  const { result } = await browser.event(
    'transaction.completed',
    data => data.transactionId === run.transactionId,
  )
  t.match(JSON.stringify(result.data), 'hello')
})

t.test('links are given to the person whose step it is, and nobody else', async t => {
  const run = await begin('form', 'Choose a picture')
  const one = [file('a.txt', 1)]
  const codeFor = async (...[a, b, c]: Parameters<typeof ask>) => (await refusal(ask(a, b, c))).code
  t.equal(
    await codeFor(run, one, { by: stranger, component: 1 }),
    'not-found',
    'other organizations see nothing',
  )
  t.equal(await codeFor(run, one, { component: 0 }), 'forbidden', 'a field of words takes no file')
  t.equal(await codeFor(run, one, { component: 7 }), 'forbidden')
  t.equal(await codeFor(run, one, { component: 1, inputGroupKey: randomUUID() }), 'call-superseded')
  t.equal(await codeFor(run, [...one, ...one], { component: 1 }), 'invalid-value', 'one is asked for')
  t.equal(await codeFor(run, [file('', 1)], { component: 1 }), 'bad-request')
  t.equal(await codeFor(run, [file('a.txt', -1)], { component: 1 }), 'bad-request')
  t.equal(await codeFor(run, [file('a.txt', 1.5)], { component: 1 }), 'bad-request')
  t.equal(await codeFor(run, [file('a.txt', limits.uploadBytesMax + 1)], { component: 1 }), 'invalid-value')
  t.equal(await codeFor({ ...run, transactionId: randomUUID() }, one, { component: 1 }), 'not-found')
  const kinds = await begin('kinds', 'Choose a table')
  const wrong = await refusal(ask(kinds, [file('virus.exe', 1)]))
  t.match(wrong, { code: 'invalid-value', message: 'Please choose a file of type .csv, json.' })

  const other = await BrowserClient.connect(
    server.address,
    await server.signIn(ours.user.email, ours.password),
  )
  t.teardown(() => other.close())
  t.equal(
    await codeFor(run, one, { by: other, component: 1 }),
    'client-usurped',
    'a window that has not got the run',
  )

  const response = await fetch(`${server.address}/api/v1/uploads`, { method: 'POST', body: '{}' })
  t.equal(response.status, 404, 'there is no way to ask without a session')
  await eventually(async () => {
    const rows = await deniedUploads()
    if (rows.length < 3) throw new Error(`only ${rows.length} refusals are in the audit log`)
  })
})

t.test('a link is good for one file, one size, one method and one hour', async t => {
  const run = await begin('one', 'Choose a photo')
  const { downloadUrl, id, uploadUrl } = await grantOf(run, file('a.txt', 5))
  const other = await grantOf(run, file('b.txt', 5))
  const tampered = (change: (query: URLSearchParams) => void): string => {
    const url = new URL(uploadUrl, server.address)
    change(url.searchParams)
    return url.href
  }
  const refused: [string, string, string][] = [
    ['no signature', tampered(query => query.delete('signature')), 'hello'],
    ['a wrong one', tampered(query => query.set('signature', 'A'.repeat(43))), 'hello'],
    ['another size', tampered(query => query.set('size', '6')), 'hello!'],
    ['another end', tampered(query => query.set('until', '99999999999999')), 'hello'],
    ['no end', tampered(query => query.delete('until')), 'hello'],
    ['another file', uploadUrl.replace(id, other.id), 'hello'],
    ['the link to read', downloadUrl, 'hello'],
    ['one that has ended', links.sendPath(id, 5, Date.now() - 1_000), 'hello'],
  ]
  for (const [what, url, body] of refused) t.equal(await codeOf(await put(url, body)), '403 forbidden', what)
  const size = await put(uploadUrl, 'hello and more')
  t.equal(await codeOf(size), '400 bad-request', 'another length than was announced')
  t.equal(await codeOf(await put(uploadUrl, 'hell')), '400 bad-request')
  const chunked = await fetch(new URL(uploadUrl, server.address), {
    method: 'PUT',
    body: new Blob(['hello']).stream(),
    duplex: 'half',
  } as RequestInit)
  t.equal(await codeOf(chunked), '400 bad-request', 'a body of unknown length')
  t.equal(await codeOf(await fetch(downloadUrl)), '404 not-found', 'there is nothing to read yet')
  t.equal(
    await codeOf(await fetch(new URL(uploadUrl, server.address))),
    '403 forbidden',
    'the link to send reads nothing',
  )
  for (const method of ['POST', 'DELETE', 'PATCH']) {
    t.match((await fetch(new URL(uploadUrl, server.address), { method })).status, /404|405/)
  }
  t.equal((await put(uploadUrl, 'hello')).status, 200)
  const read = new URL(downloadUrl)
  read.searchParams.set('signature', `${read.searchParams.get('signature')?.slice(0, -1)}x`)
  t.equal(await codeOf(await fetch(read)), '403 forbidden')
  t.equal(await codeOf(await fetch(downloadUrl.replace(id, other.id))), '403 forbidden')
  for (const path of ['..%2f..%2fsecrets.json', `${id}%00`, `${id}/..`, 'a'.repeat(42), '__proto__']) {
    t.match((await fetch(`${server.address}/api/v1/uploads/${path}?signature=x`)).status, /400|404/, path)
  }
  t.ok(existsSync(join(server.folder, 'secrets.json')))
})

t.test('the address a host reads is one of ours, of this field, and has a file', async t => {
  const run = await begin('one', 'Choose a photo')
  const mine = file('a.txt', 5)
  const grant = await grantOf(run, mine)
  const elsewhere = await begin('one', 'Choose a photo')
  const foreign = await grantOf(elsewhere, mine)
  await put(foreign.uploadUrl, 'other')
  const { downloadUrl } = grant
  const answers: [string, unknown][] = [
    ['an address inside', { ...answerOf(grant, mine), url: 'http://169.254.169.254/latest/meta-data/' }],
    ['another port of ours', { ...answerOf(grant, mine), url: `http://127.0.0.1:${server.port + 1}/` }],
    ['a file of the machine', { ...answerOf(grant, mine), url: 'file:///etc/passwd' }],
    ['a file of another run', answerOf(foreign, mine)],
    ['one that has not arrived', answerOf(grant, mine)],
    ['its address and more', { ...answerOf(grant, mine), url: `${downloadUrl}&x=1` }],
  ]
  for (const [what, value] of answers) {
    const refused = await refusal(browser.answer(run.transactionId, run.step, [value]))
    t.match(refused, { code: 'invalid-value', fields: { 0: 'Please choose a file.' } }, what)
  }
  await put(grant.uploadUrl, 'hello')
  for (const change of [{ name: 'b.txt' }, { size: 4 }, { type: 'text/html' }]) {
    const value = { ...answerOf(grant, mine), ...change }
    t.equal((await refusal(browser.answer(run.transactionId, run.step, [value]))).code, 'invalid-value')
  }
  await browser.answer(run.transactionId, run.step, [answerOf(grant, mine)])
  t.ok(await browser.event('transaction.completed', data => data.transactionId === run.transactionId))
})

t.test('after the step was answered, or the run has ended, nothing is taken', async t => {
  const run = await begin('twice', 'Choose a photo')
  const mine = file('a.txt', 5)
  const used = await grantOf(run, mine)
  const late = await grantOf(run, mine)
  await put(used.uploadUrl, 'hello')
  await browser.answer(run.transactionId, run.step, [answerOf(used, mine)])
  await browser.step('Then', run.transactionId)
  t.match(await codeOf(await put(late.uploadUrl, 'late!')), /^409 (already-answered|call-superseded)$/)
  t.match((await refusal(ask(run, [mine]))).code, /already-answered|call-superseded/)
  await browser.ask('transaction.cancel', { transactionId: run.transactionId })
  t.equal(await codeOf(await put(late.uploadUrl, 'late!')), '409 transaction-closed')
  t.equal(await (await fetch(used.downloadUrl)).text(), 'hello', 'what was sent can be read after the end')
})

t.test('what was sent is no page of ours', async t => {
  const run = await begin('many', 'Choose photos')
  const script = '<script>document.title = "owned"</script>'
  const files = [
    'text/html',
    'image/svg+xml',
    'text/javascript',
    'application/xhtml+xml',
    'text/xml',
    'x\r\ny: z',
  ].map((type, index) => file(`page${index}.html`, script.length, type))
  const { files: grants } = await ask(run, files)
  for (const [index, grant] of grants.entries()) {
    await put(grant.uploadUrl, script)
    const read = await fetch(grant.downloadUrl)
    t.equal(read.headers.get('content-type'), 'application/octet-stream', files[index]?.type ?? '')
    t.match(read.headers.get('content-disposition'), /^attachment; /)
    t.match(read.headers.get('content-security-policy'), /sandbox/)
    t.equal(read.headers.get('y'), null)
  }
  const [picture] = (await ask(run, [file('x.png', 3, 'image/png')])).files
  await put(picture?.uploadUrl ?? '', 'png')
  const read = await fetch(picture?.downloadUrl ?? '')
  t.match(read.headers.get('content-disposition'), /^inline; /)
  t.equal(read.headers.get('content-type'), 'image/png')
})

t.test('a file that is cut off leaves nothing, and can be sent again', async t => {
  const run = await begin('one', 'Choose a photo')
  const size = 1_000_000
  const { downloadUrl, id, uploadUrl } = await grantOf(run, file('a.bin', size, ''))
  const socket = connect(server.port, '127.0.0.1')
  socket.write(
    `PUT ${uploadUrl} HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\ncontent-length: ${size}\r\n\r\n`,
  )
  socket.write(Buffer.alloc(600_000, 1))
  const folder = join(server.folder, 'uploads')
  await eventually(() => {
    if (!existsSync(join(folder, `${id}.1`))) throw new Error('it is not being written yet')
  })
  socket.destroy()
  await eventually(() => {
    if (existsSync(join(folder, `${id}.1`))) throw new Error('what was cut off is still there')
  })
  const body = randomBytes(size)
  t.equal((await put(uploadUrl, body)).status, 200)
  t.ok(Buffer.from(await (await fetch(downloadUrl)).arrayBuffer()).equals(body))
})

t.test('the room of a run is limited', async t => {
  const run = await begin('many', 'Choose photos')
  const large = () => file('a.bin', limits.uploadBytesMax)
  await ask(run, Array.from({ length: 8 }, large))
  const refused = await refusal(ask(run, [large()]))
  t.match(refused, { code: 'invalid-value', message: 'These are more files than one run may have.' })
  const other = await begin('many', 'Choose photos')
  await ask(other, [large()])
})

t.test('a kill loses nothing that was acknowledged, and leaves nothing that was not', async t => {
  const run = await begin('twice', 'Choose a photo')
  const mine = file('a.txt', 300_000)
  const body = randomBytes(150_000).toString('hex')
  const grant = await grantOf(run, mine)
  t.equal((await put(grant.uploadUrl, body)).status, 200)
  await server.kill()
  const orphan = join(server.folder, 'uploads', `${'A'.repeat(43)}.1`)
  writeFileSync(orphan, 'nobody knows of this')
  await server.run()
  t.equal(await (await fetch(grant.downloadUrl)).text(), body)
  await eventually(() => {
    if (existsSync(orphan)) throw new Error('a file without an upload is still there')
  })
  await browser.reopen()
  await browser.ask('transaction.attach', { transactionId: run.transactionId })
  await browser.answer(run.transactionId, run.step, [answerOf(grant, mine)])
  await eventually(() => browser.step('Then', run.transactionId))
})
