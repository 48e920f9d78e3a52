/**
 * Files in a ring: any node takes them, any node gives them back, and the death of any one between sending and reading
 * loses nothing. A small file and one of the largest.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Step, UploadGrant } from '../../lib/clients/wire.js'
import { limits } from '../../lib/limits.js'
import { BrowserClient } from '../support/browser-client.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { filesOf } from '../support/upload-actions.js'

t.setTimeout(180_000)
const cluster = await TestCluster.start(3)
const seeded = await cluster.seed()
const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const host = sdkHost('2.0.0', {
  endpoint: cluster.node(1).endpoint,
  apiKey: seeded.liveKey,
  actions: {
    many: async io => {
      const files = await filesOf(io).file('Choose photos').multiple()
      await io.input.text('Ready')
      const sums: Record<string, string> = {}
      for (const file of files) sums[file.name] = sum(await file.buffer())
      return sums
    },
  },
})
await host.listen()
const cookie = await cluster.node(1).signIn(seeded.user.email, seeded.password)
const browser = await BrowserClient.connect(cluster.node(1).address, cookie)
t.teardown(async () => {
  host.close()
  browser.close()
  await cluster.stop()
  setTimeout(() => process.exit(), 500).unref()
})
const place = { organization: seeded.organization.slug, environment: 'production' }

const bodies: Record<string, Buffer> = {
  'small.txt': Buffer.from('a small file'),
  'empty.txt': Buffer.alloc(0),
  'large.bin': randomBytes(limits.uploadBytesMax),
}
const names = Object.keys(bodies)
const bodyOf = (name: string): Buffer => bodies[name] ?? Buffer.alloc(0)
/** A link as another node gives it. */
const at = (node: number, url: string): string => {
  const { pathname, search } = new URL(url, cluster.node(1).address)
  return cluster.node(node).address + pathname + search
}

let transactionId = ''
let step: Step
let grants: UploadGrant[] = []

async function read(node: number, index: number): Promise<string> {
  const response = await fetch(at(node, grants[index]?.downloadUrl ?? ''))
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
  return sum(new Uint8Array(await response.arrayBuffer()))
}

t.test('any node takes a file, and every node gives it back', async t => {
  transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'many' }))
  step = await browser.step('Choose photos', transactionId)
  const files = names.map(name => ({ name, type: 'application/octet-stream', size: bodyOf(name).length }))
  grants = (
    await browser.ask('transaction.upload', {
      transactionId,
      requestId: randomUUID(),
      inputGroupKey: step.call.inputGroupKey,
      component: 0,
      files,
    })
  ).files
  for (const [index, name] of names.entries()) {
    const beganMs = Date.now()
    const response = await fetch(at(index, grants[index]?.uploadUrl ?? ''), {
      method: 'PUT',
      body: new Uint8Array(bodyOf(name)),
    })
    t.equal(response.status, 200, `${name}: ${await response.text()}`)
    t.comment(`${name} was sent within ${Date.now() - beganMs} ms`)
  }
  for (const node of [0, 1, 2]) {
    for (const [index, name] of names.entries())
      t.equal(await read(node, index), sum(bodyOf(name)), `${name} from node ${node}`)
    t.notOk(existsSync(join(cluster.node(node).folder, 'uploads')), 'nothing is in a folder of a node')
  }
})

t.test('a node dies: everything is there, and the host reads it', async t => {
  await browser.answer(transactionId, step, [
    names.map((name, index) => ({
      name,
      type: 'application/octet-stream',
      size: bodyOf(name).length,
      lastModified: 0,
      url: grants[index]?.downloadUrl ?? '',
    })),
  ])
  const ready = await browser.step('Ready', transactionId)
  await cluster.node(0).kill()
  const beganMs = Date.now()
  for (const [index, name] of names.entries()) {
    const whole = await eventually(() => read(2, index), 20_000)
    t.equal(whole, sum(bodyOf(name)), `${name} from node 2`)
  }
  t.comment(`all was read ${Date.now() - beganMs} ms after the kill`)
  await eventually(() => browser.answer(transactionId, ready, ['yes']))
  const { result } = await browser.event(
    'transaction.completed',
    data => data.transactionId === transactionId,
  )
  t.equal(result.status, 'SUCCESS')
  const returned = JSON.stringify(result.data)
  for (const name of names) t.ok(returned.includes(sum(bodyOf(name))), `the host has read ${name}`)
})
