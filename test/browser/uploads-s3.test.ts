/**
 * Files that go to S3: straight from a real browser to a store from npm, and from there to a real host. The keys are
 * given, or found by the default chain.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import type { UploadGrant } from '../../lib/clients/wire.js'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { s3Bucket, s3Key, startS3 } from '../support/s3.js'
import { sdkHost } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'
import { uploadActions } from '../support/upload-actions.js'
import { continueButton, resultOf, Stage, shown } from './stage.js'

t.setTimeout(120_000)
const s3 = await startS3('http://127.0.0.1:*')
const stage = await Stage.open(t, {
  environment: {
    S3_BUCKET: s3Bucket,
    S3_REGION: 'us-east-1',
    S3_ENDPOINT: s3.address,
    // No key of ours: these are found by the default chain, as those of a machine's role are.
    AWS_ACCESS_KEY_ID: s3Key,
    AWS_SECRET_ACCESS_KEY: s3Key,
  },
})
t.teardown(() => s3.stop())
const { server } = stage
const seeded = await stage.seed()
const host = sdkHost('2.0.0', {
  endpoint: server.endpoint,
  apiKey: seeded.liveKey,
  actions: uploadActions,
})
await host.listen()
t.teardown(() => host.close())

async function start(page: Page, slug: string): Promise<void> {
  await page.goto(`/dashboard/${seeded.organization.slug}/actions/${slug}`)
  await shown(page.locator('input[type="file"]'))
}

const choose = (page: Page, ...names: string[]): Promise<void> =>
  page
    .locator('input[type="file"]')
    .setInputFiles(names.map(name => ({ name, mimeType: 'text/plain', buffer: Buffer.from(`in ${name}`) })))

await stage.scenario(t, 'files go to the bucket and come from there', async ({ t, page }) => {
  await start(page, 'many')
  const sent: string[] = []
  page.on('request', request => {
    if (request.method() === 'PUT') sent.push(new URL(request.url()).origin)
  })
  await choose(page, 'a.txt', 'b.txt')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'a.txtin a.txtb.txtin b.txt')
  t.same(sent, [s3.address, s3.address], 'no byte has passed through the node')
  t.notOk(existsSync(join(server.folder, 'uploads')))
})

await stage.scenario(
  t,
  'a store that does not take it is told of, and can be tried again',
  async ({ t, page }) => {
    await start(page, 'one')
    await page.route(`${s3.address}/**`, route => route.abort())
    await choose(page, 'a.txt')
    await shown(page.getByText(/could not be sent to where it is kept/))
    await page.unroute(`${s3.address}/**`)
    await page.getByRole('button', { name: 'Try again' }).click()
    await continueButton(page).click()
    t.match(await resultOf(page), /in a\.txt/)
  },
)

t.test('a link is bound to its object and length; what is not there is no answer', async t => {
  const cookie = await server.signIn(seeded.user.email, seeded.password)
  const browser = await BrowserClient.connect(server.address, cookie)
  t.teardown(() => browser.close())
  const transactionId = randomUUID()
  const place = { organization: seeded.organization.slug, environment: 'production' }
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'one' }))
  const step = await browser.step('Choose a photo', transactionId)
  const grant = async (): Promise<UploadGrant> => {
    const { files } = await browser.ask('transaction.upload', {
      transactionId,
      requestId: randomUUID(),
      inputGroupKey: step.call.inputGroupKey,
      component: 0,
      files: [{ name: 'page.html', type: 'text/html', size: 5 }],
    })
    if (!files[0]) throw new Error('no link was given')
    return files[0]
  }
  const one = await grant()
  const other = await grant()
  const put = async (url: string, body: string, headers = one.headers): Promise<number> =>
    (await fetch(url, { method: 'PUT', body, headers: { ...headers } })).status
  const { pathname } = new URL(one.uploadUrl)
  t.equal(pathname, `/${s3Bucket}/uploads/${one.id}`, 'path style, and nothing of the name')
  t.equal(one.confirms, true)
  t.equal(await put(one.uploadUrl, 'hello and more'), 403, 'another length')
  t.equal(await put(one.uploadUrl, 'hello', { 'content-type': 'text/html' }), 403, 'another type')
  t.equal(await put(one.uploadUrl.replace(one.id, other.id), 'hello'), 403, 'another object')
  t.equal((await fetch(one.uploadUrl)).status, 403, 'the link to send reads nothing')
  const confirm = (uploadId: string) => browser.ask('transaction.uploaded', { transactionId, uploadId })
  t.equal((await refusal(confirm(one.id))).code, 'not-found', 'nothing was sent')
  const value = { name: 'page.html', type: 'text/html', size: 5, lastModified: 0, url: one.downloadUrl }
  t.equal((await refusal(browser.answer(transactionId, step, [value]))).code, 'invalid-value')
  t.equal(await put(one.uploadUrl, 'hello'), 200)
  t.equal(
    (await refusal(browser.answer(transactionId, step, [value]))).code,
    'invalid-value',
    'nobody has said so',
  )
  await confirm(one.id)
  t.equal((await refusal(confirm(randomUUID()))).code, 'not-found')
  const led = await fetch(one.downloadUrl, { redirect: 'manual' })
  t.equal(led.status, 302)
  t.match(led.headers.get('location'), new RegExp(`^${s3.address}/${s3Bucket}/uploads/`))
  const read = await fetch(one.downloadUrl)
  t.equal(await read.text(), 'hello')
  t.equal(read.headers.get('content-type'), 'application/octet-stream', 'a page is not called one')
  t.match(read.headers.get('content-disposition'), /^attachment; filename="page\.html"/)
  await browser.answer(transactionId, step, [value])
  t.ok(await browser.event('transaction.completed', data => data.transactionId === transactionId))
})

t.test('the keys of a machine’s role, which its platform gives out and changes', async t => {
  let given = 0
  // They end so soon that each use asks for new ones.
  const platform = createServer((_request, response) => {
    given += 1
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        AccessKeyId: s3Key,
        SecretAccessKey: s3Key,
        Token: `token-${given}`,
        Expiration: new Date(Date.now() + 60_000).toISOString(),
      }),
    )
  })
  const port = await freePort()
  await new Promise<void>(resolve => platform.listen(port, '127.0.0.1', resolve))
  const node = await TestServer.start({
    environment: {
      S3_BUCKET: s3Bucket,
      S3_REGION: 'us-east-1',
      S3_ENDPOINT: s3.address,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/role`,
    },
  })
  t.teardown(async () => {
    await node.stop()
    platform.closeAllConnections()
    platform.close()
  })
  const { liveKey, organization, password, user } = await node.seed()
  const there = sdkHost('2.0.0', { endpoint: node.endpoint, apiKey: liveKey, actions: uploadActions })
  await there.listen()
  t.teardown(() => there.close())
  const browser = await BrowserClient.connect(node.address, await node.signIn(user.email, password))
  t.teardown(() => browser.close())
  const transactionId = randomUUID()
  const place = { organization: organization.slug, environment: 'production' }
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'one' }))
  const step = await browser.step('Choose a photo', transactionId)
  const tokens: (string | null)[] = []
  const send = async (): Promise<UploadGrant | undefined> => {
    const { files } = await browser.ask('transaction.upload', {
      transactionId,
      requestId: randomUUID(),
      inputGroupKey: step.call.inputGroupKey,
      component: 0,
      files: [{ name: 'a.txt', type: 'text/plain', size: 5 }],
    })
    const url = files[0]?.uploadUrl ?? ''
    tokens.push(new URL(url).searchParams.get('X-Amz-Security-Token'))
    const { status } = await fetch(url, { method: 'PUT', body: 'hello', headers: { ...files[0]?.headers } })
    t.equal(status, 200, 'signed with the key of the role')
    await browser.ask('transaction.uploaded', { transactionId, uploadId: files[0]?.id ?? '' })
    return files[0]
  }
  await send()
  const sent = await send()
  for (const token of tokens) t.match(token, /^token-\d+$/)
  t.not(tokens[0], tokens[1], 'new keys are taken when the old ones end')
  t.equal(await (await fetch(sent?.downloadUrl ?? '')).text(), 'hello')
})
