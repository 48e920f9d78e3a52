/**
 * Fault 15: a browser and a host that never read. Each is dropped at the cap of what may wait for it, without having to
 * agree; one that begins to read in time is told why. The node's memory stays flat over many of them, others do not wait
 * longer, and nothing that was meant for such a host is lost: it is there when it comes back.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { limits } from '../../lib/limits.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { memoryMb } from './measure.js'
import { inWords, Neighbours, socketsOf, unnoticed } from './neighbours.js'
import { RawHost, type RawSocket, rawBrowser } from './raw-socket.js'

t.setTimeout(300_000)
const isLong = process.env.TEST_LONG !== undefined
const rounds = isLong ? 12 : 2
/** One of them has more waiting than may wait in memory. */
const startsOfHosts = [130, 60, 60]
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const neighbours = await Neighbours.moveIn(server, seeded, cookie)
const place = { organization: seeded.organization.slug, environment: 'production' }
t.teardown(async () => {
  neighbours.moveOut()
  await server.stop()
})

const megabyte = 1_000_000
const snapshotBytes = 200_000
/** What the kernel may hold of a connection beside our cap, in MB, on both sides. */
const kernelMb = 16
const capMb = limits.socketSendBufferBytesMax / megabyte

/** A run whose snapshot has 200 KB: large enough to fill a buffer soon, small enough to be cheap to write. */
async function bigRun(browser: BrowserClient, host: RawHost): Promise<string> {
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'big' }))
  const label = 'x'.repeat(snapshotBytes)
  const toRender = [
    { methodName: 'DISPLAY_MARKDOWN', label, props: {}, isStateful: false, isOptional: false },
  ]
  const ioCall = JSON.stringify({ id: randomUUID(), inputGroupKey: randomUUID(), kind: 'RENDER', toRender })
  await host.call('SEND_IO_CALL', { transactionId, ioCall })
  return transactionId
}

/** Says hello, reads nothing from then on, and asks for more than the cap. */
async function deafBrowser(transactionId: string): Promise<RawSocket> {
  const deaf = await rawBrowser(server, cookie)
  deaf.send(JSON.stringify({ id: 1, method: 'hello', data: { client: randomUUID(), protocol: 1 } }))
  await eventually(() => {
    if (deaf.frames.length === 0) throw new Error('no hello')
  })
  deaf.socket.pause()
  const asks = Math.ceil(((capMb + kernelMb) * megabyte) / snapshotBytes)
  for (let ask = 0; ask < asks; ask++) {
    deaf.send(JSON.stringify({ id: 2 + ask, method: 'transaction.attach', data: { transactionId } }))
    // Below the rate at which it would be told to slow down.
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  return deaf
}

t.test('row 15: a browser that never reads', async t => {
  const browser = await BrowserClient.connect(server.address, cookie)
  const host = await RawHost.connect(server, seeded.liveKey)
  t.teardown(() => {
    browser.close()
    host.raw.end()
  })
  await host.initialize(['big'])
  const transactionId = await bigRun(browser, host)
  const atRest = await neighbours.atRest()
  const open = await socketsOf(server, 'browser')
  const memories: number[] = []
  const misbehave = async (): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const deaf = await deafBrowser(transactionId)
      const isToldWhy = round === 0
      if (isToldWhy) {
        deaf.socket.resume()
        const { code, reason } = await deaf.closed
        t.equal(code, 1008)
        t.match(reason, /does not read/)
      }
      await eventually(async () => {
        if ((await socketsOf(server, 'browser')) !== open) throw new Error('it still has its socket')
      }, 30_000)
      memories.push(memoryMb(server))
      deaf.end()
    }
  }
  const waits = await neighbours.during(misbehave())
  unnoticed(t, waits, atRest)
  const [first = 0] = memories
  const last = memories.at(-1) ?? 0
  t.ok(last - first < 60, `${first.toFixed(0)} MB after the first, ${last.toFixed(0)} MB after the last`)
  t.ok(waits.memoryMbMax - atRest.memoryMbMax < 200, `${waits.memoryMbMax.toFixed(0)} MB at most`)
  t.comment(
    `${rounds} deaf browsers, each asked for ${(capMb + kernelMb).toFixed(0)} MB and was dropped at the cap`,
  )
  t.comment(`others at rest: ${inWords(atRest)}`)
  t.comment(
    `others meanwhile: ${inWords(waits)}; resident after each: ${memories.map(mb => mb.toFixed(0)).join(' ')} MB`,
  )
})

const skip = !isLong && 'a part of npm run test:long'
t.test('row 15: hosts that never read', { skip }, async t => {
  const browser = await BrowserClient.connect(server.address, cookie)
  t.teardown(() => browser.close())
  const atRest = await neighbours.atRest()
  const open = await socketsOf(server, 'host')
  const hosts: { slug: string; instanceId: string; ids: string[]; deaf: RawHost }[] = []
  const misbehave = async (): Promise<void> => {
    for (const [index, starts] of startsOfHosts.entries()) {
      const [slug, instanceId] = [`deaf-${index}`, randomUUID()]
      const deaf = await RawHost.connect(server, seeded.liveKey, instanceId)
      await deaf.initialize([slug])
      // Starts are offered to it once it has confirmed that answer.
      await eventually(async () => {
        const { actions } = await browser.ask('directory.watch', place)
        if (!JSON.stringify(actions).includes(slug)) throw new Error('it is not listed yet')
      })
      deaf.raw.socket.pause()
      const ids = Array.from({ length: starts }, () => randomUUID())
      for (const transactionId of ids) {
        // Once as a parameter, once in the address: 200 KB.
        const params = { text: 'x'.repeat(100_000) }
        await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug, params }))
      }
      hosts.push({ slug, instanceId, ids, deaf })
    }
    await eventually(async () => {
      if ((await socketsOf(server, 'host')) !== open) throw new Error('one still has its socket')
    }, 60_000)
  }
  const waits = await neighbours.during(misbehave())
  t.comment(
    `${startsOfHosts.length} deaf hosts at once with ${startsOfHosts.join(', ')} starts of 200 KB before them, all dropped`,
  )
  t.comment(`others at rest: ${inWords(atRest)}`)
  t.comment(`others meanwhile: ${inWords(waits)}`)
  unnoticed(t, waits, atRest)
  const grownMb = waits.memoryMbMax - atRest.memoryMbMax
  t.ok(grownMb < 250, `grew by ${grownMb.toFixed(0)} MB`)

  for (const { slug, instanceId, ids, deaf } of hosts) {
    deaf.raw.end()
    // It reads now, and what waits for it is more than may wait in memory for one that does not.
    const back = await RawHost.connect(server, seeded.liveKey, instanceId)
    const heard = new Set<string>()
    back.raw.socket.on('message', data => {
      const id = /START_TRANSACTION.{0,100}transactionId\W+([\w-]{36})/.exec(String(data).slice(0, 500))?.[1]
      if (id !== undefined) heard.add(id)
    })
    await back.initialize([slug])
    await eventually(() => {
      const missing = ids.filter(id => !heard.has(id)).length
      if (missing > 0) throw new Error(`${missing} of ${ids.length} starts have not come`)
    }, 30_000)
    t.ok(back.raw.isOpen, 'it keeps its socket')
    back.raw.end()
    for (const transactionId of ids)
      await eventually(() => browser.ask('transaction.cancel', { transactionId }))
  }
  t.comment(
    `all ${hosts.flatMap(({ ids }) => ids).length} starts that waited for them came when they were back`,
  )
})
