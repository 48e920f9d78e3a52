/**
 * Files for every published SDK: the value that is sent, and that the SDK reads the address it is given. And hosts that
 * name places of their own: another address than those is no answer.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { sdkHost, sdkVersions } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'
import { filesOf } from '../support/upload-actions.js'

t.setTimeout(120_000)
const server = await TestServer.start()
const seeded = await server.seed()
const browser = await BrowserClient.connect(
  server.address,
  await server.signIn(seeded.user.email, seeded.password),
)
t.teardown(async () => {
  browser.close()
  await server.stop()
  // SDKs go on reconnecting for ever, some even after they were closed.
  setTimeout(() => process.exit(), 500).unref()
})
const place = { organization: seeded.organization.slug, environment: 'production' }

for (const version of sdkVersions) {
  const slug = `v${version.replaceAll('.', '_')}`

  t.test(`SDK ${version}: a file is sent, and read by the host`, async t => {
    const host = sdkHost(version, {
      endpoint: server.endpoint,
      apiKey: seeded.liveKey,
      actions: {
        [slug]: async io => {
          const file = await filesOf(io).file('Choose a photo')
          const { extension, lastModified, name, size, type } = file
          const text = await file.text()
          return { name, type, size, modified: lastModified.getTime(), extension, text }
        },
      },
    })
    await host.listen()
    t.teardown(() => host.close())
    const transactionId = randomUUID()
    await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug }))
    const step = await browser.step('Choose a photo', transactionId)
    const file = { name: 'notes.txt', type: 'text/plain', size: 5 }
    const { files } = await browser.ask('transaction.upload', {
      transactionId,
      requestId: randomUUID(),
      inputGroupKey: step.call.inputGroupKey,
      component: 0,
      files: [file],
    })
    const { downloadUrl = '', uploadUrl = '' } = files[0] ?? {}
    const sent = await fetch(new URL(uploadUrl, server.address), { method: 'PUT', body: 'hello' })
    t.equal(sent.status, 200)
    const value = { ...file, lastModified: 1_700_000_000_000, url: downloadUrl }
    await browser.answer(transactionId, step, [value])
    const { result } = await browser.event(
      'transaction.completed',
      data => data.transactionId === transactionId,
    )
    const { url: _address, lastModified: modified, ...told } = value
    t.match(result, { status: 'SUCCESS', data: { ...told, modified, extension: '.txt', text: 'hello' } })
  })
}

t.test('a host names places: nothing else is read by it', async t => {
  const host = sdkHost('2.0.0', {
    endpoint: server.endpoint,
    apiKey: seeded.liveKey,
    actions: {
      elsewhere: async io => {
        const generatePresignedUrls = async ({ name }: { name: string }) => ({
          uploadUrl: `https://store.example.com/put/${name}`,
          downloadUrl: `https://store.example.com/get/${name}`,
        })
        return await (await filesOf(io).file('Choose a photo', { generatePresignedUrls })).url()
      },
    },
  })
  await host.listen()
  t.teardown(() => host.close())
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'elsewhere' }))
  const step = await browser.step('Choose a photo', transactionId)
  const value = {
    name: 'a.txt',
    type: 'text/plain',
    size: 1,
    lastModified: 0,
    url: 'http://169.254.169.254/',
  }
  const before = await refusal(browser.answer(transactionId, step, [value]))
  t.match(before, { code: 'invalid-value' }, 'before it has named any')
  const { id: renderId, inputGroupKey } = step.call
  await browser.ask('transaction.answer', {
    transactionId,
    requestId: randomUUID(),
    inputGroupKey,
    renderId,
    kind: 'SET_STATE',
    values: [{ files: [{ name: 'a.txt', type: 'text/plain' }] }],
  })
  const { step: named } = await browser.event(
    'transaction.render',
    data => data.transactionId === transactionId && data.step.call.id !== renderId,
  )
  t.match((await refusal(browser.answer(transactionId, named, [value]))).code, 'invalid-value')
  const ask = browser.ask('transaction.upload', {
    transactionId,
    requestId: randomUUID(),
    inputGroupKey,
    component: 0,
    files: [{ name: 'a.txt', type: 'text/plain', size: 1 }],
  })
  t.equal((await refusal(ask)).code, 'forbidden', 'and none of ours is given')
  const url = 'https://store.example.com/get/a.txt'
  await browser.answer(transactionId, named, [{ ...value, url }])
  const { result } = await browser.event(
    'transaction.completed',
    data => data.transactionId === transactionId,
  )
  t.equal(result.data, url)
})
