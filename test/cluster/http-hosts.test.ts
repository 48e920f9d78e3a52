/**
 * Serverless hosts on three nodes whose processes are killed: runs and pages go on, and what was asked to run runs once,
 * whichever of the nodes dies that have a part in it.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { partitionOf } from '../../lib/partitions/index.js'
import { Balancer } from '../support/balancer.js'
import { TestCluster } from '../support/cluster.js'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { TestHttpHost } from '../support/http-host.js'
import { SteadyBrowser } from '../support/steady-browser.js'

t.setTimeout(300_000)
const cluster = await TestCluster.start(3, ['--hosts:http:allow=127.0.0.0/8'])
const balancer = await Balancer.start(cluster.ports)
const seeded = await cluster.seed()
const cookie = await cluster.node(0).signIn(seeded.user.email, seeded.password)
const place = { organization: seeded.organization.slug, environment: 'production' }
const browser = await SteadyBrowser.connect(balancer.address, cookie)
/** Runs of the action, by the transaction they were for. */
const started: string[] = []
const host = await TestHttpHost.start({
  endpoint: balancer.endpoint,
  apiKey: seeded.liveKey,
  actions: {
    twice: async (io, ctx) => {
      started.push(String(ctx.params.run))
      const first = await io.input.text('First')
      const second = await io.input.text('Second')
      return `${first} ${second}`
    },
  },
  pages: {
    shown: async display => ({ title: 'Shown', children: [display.heading('On the page')] }),
  },
})

t.teardown(async () => {
  browser.stop()
  await host.close()
  await balancer.stop()
  await cluster.stop()
  // SDKs go on reconnecting for ever.
  setTimeout(() => process.exit(), 500).unref()
})

const { id: httpHostId } = await cluster
  .node(1)
  .admin<{ id: string }>('upsertHttpHost', { organizationId: seeded.organization.id, url: host.url })

const ownerOf = async (key: string): Promise<number> => {
  const owner = (await cluster.owners())[partitionOf(key)]
  if (owner === null || owner === undefined) throw new Error(`nobody owns ${key}`)
  return owner
}

/** An id for a run that node `owner` leads. */
async function idOwnedBy(kind: 'transaction' | 'page', isOwner: (owner: number) => boolean): Promise<string> {
  const owners = await cluster.owners()
  for (;;) {
    const id = randomUUID()
    const owner = owners[partitionOf(`${kind}:${id}`)]
    if (typeof owner === 'number' && isOwner(owner)) return id
  }
}

async function killAndBringBack(index: number, meanwhile: () => Promise<void>): Promise<void> {
  await cluster.node(index).kill()
  await meanwhile()
  await cluster.node(index).run()
  await cluster.covered()
}

const attach = (transactionId: string) =>
  eventually(() => browser.ask('transaction.attach', { transactionId }), 30_000)

async function answer(transactionId: string, label: string, value: string): Promise<void> {
  const step = await eventually(async () => {
    const { steps } = await attach(transactionId)
    const shown = steps.find(({ call, answered }) => !answered && call.toRender[0]?.label === label)
    if (!shown) throw new Error(`${label} is not asked`)
    return shown
  }, 30_000)
  const { inputGroupKey, id: renderId } = step.call
  const requestId = randomUUID()
  await eventually(
    () =>
      browser.ask('transaction.answer', {
        ...{ transactionId, requestId, inputGroupKey, renderId },
        ...{ kind: 'RETURN', values: [value] },
      }),
    30_000,
  )
}

async function start(transactionId: string): Promise<void> {
  const request = { ...place, transactionId, slug: 'twice', params: { run: transactionId } }
  await eventually(() => browser.ask('transaction.start', request), 30_000)
}

async function endsWith(transactionId: string, data: string): Promise<void> {
  await eventually(async () => {
    const { result } = await attach(transactionId)
    if (result?.data !== data) throw new Error(JSON.stringify(result))
  }, 30_000)
}

const runsOf = (transactionId: string): number => started.filter(id => id === transactionId).length

/** Starts a run whose host is asked, and does not go on before `open` is called. */
async function askedBehindGate(transactionId: string): Promise<{ before: number; open: () => void }> {
  let open: () => void = () => undefined
  host.gate = new Promise(resolve => {
    open = resolve
  })
  const before = host.runs.length
  await start(transactionId)
  await eventuallyTrue('it is asked', () => host.runs.length === before + 1)
  return { before, open }
}

t.test('three nodes know of it, and one asks it', async t => {
  await eventually(async () => {
    const { actions } = await browser.ask('directory.watch', place)
    if (!actions.some(({ slug, online }) => slug === 'twice' && online)) throw new Error('not listed')
  })
  t.equal(host.asked.length, 1)
  t.match(await cluster.node(2).admin('checkHttpHost', { id: httpHostId }), { status: 'ONLINE' })
  t.equal(host.asked.length, 2, 'asked by whoever wants to know, and no more')
  for (const { headers } of host.asked) t.match(headers['interval-signature'], /^t=\d+,v1=[0-9a-f]{64}$/)
})

t.test('the owner of the run is killed in the middle', async t => {
  const hostOwner = await ownerOf(`http-host:${httpHostId}`)
  const transactionId = await idOwnedBy('transaction', owner => owner !== hostOwner)
  await start(transactionId)
  await answer(transactionId, 'First', 'one')
  await killAndBringBack(await ownerOf(`transaction:${transactionId}`), async () => {
    await answer(transactionId, 'Second', 'two')
    await endsWith(transactionId, 'one two')
  })
  t.equal(runsOf(transactionId), 1)
})

t.test('the owner of the HTTP host, which has its request open, is killed in the middle', async t => {
  const hostOwner = await ownerOf(`http-host:${httpHostId}`)
  const transactionId = await idOwnedBy('transaction', owner => owner !== hostOwner)
  await start(transactionId)
  await answer(transactionId, 'First', 'three')
  await killAndBringBack(hostOwner, async () => {
    await answer(transactionId, 'Second', 'four')
    await endsWith(transactionId, 'three four')
  })
  t.equal(runsOf(transactionId), 1)
})

t.test('the owner of the HTTP host is killed before anybody has come: asked again, run once', async t => {
  const hostOwner = await ownerOf(`http-host:${httpHostId}`)
  const transactionId = await idOwnedBy('transaction', owner => owner !== hostOwner)
  const { before, open } = await askedBehindGate(transactionId)
  await killAndBringBack(hostOwner, async () => {
    await eventuallyTrue('it is asked again', () => host.runs.length === before + 2)
    open()
    await answer(transactionId, 'First', 'five')
    await answer(transactionId, 'Second', 'six')
    await endsWith(transactionId, 'five six')
  })
  host.gate = null
  const [one, two] = host.runs.slice(before)
  t.equal(one?.body, two?.body, 'under the same id')
  t.equal(runsOf(transactionId), 1, 'the second instance was sent away')
})

t.test('the owner of the run is killed before anybody has come', async t => {
  const hostOwner = await ownerOf(`http-host:${httpHostId}`)
  const transactionId = await idOwnedBy('transaction', owner => owner !== hostOwner)
  const { open } = await askedBehindGate(transactionId)
  await killAndBringBack(await ownerOf(`transaction:${transactionId}`), async () => {
    open()
    await answer(transactionId, 'First', 'seven')
    await answer(transactionId, 'Second', 'eight')
    await endsWith(transactionId, 'seven eight')
  })
  host.gate = null
  t.equal(runsOf(transactionId), 1)
})

t.test('the node that holds the socket of the woken host is killed', async t => {
  const transactionId = await idOwnedBy('transaction', () => true)
  balancer.prefer(0)
  await start(transactionId)
  await answer(transactionId, 'First', 'nine')
  balancer.prefer(null)
  await killAndBringBack(0, async () => {
    await answer(transactionId, 'Second', 'ten')
    await endsWith(transactionId, 'nine ten')
  })
  t.equal(runsOf(transactionId), 1)
  const { actions } = await browser.ask('directory.watch', place)
  t.equal(actions.length, 1)
})

t.test('a page whose owner is killed', async t => {
  const pageKey = await idOwnedBy('page', () => true)
  const rendered: unknown[] = []
  browser.onEvent = frame => {
    if (frame.event === 'page.render' || frame.event === 'page.snapshot') rendered.push(frame.data)
  }
  const open = () => browser.ask('page.open', { ...place, pageKey, slug: 'shown' })
  await eventually(open, 30_000)
  await eventually(async () => {
    const { layout } = await open()
    if (layout?.title !== 'Shown') throw new Error(JSON.stringify(layout))
  })
  const before = host.runs.length
  await killAndBringBack(await ownerOf(`page:${pageKey}`), async () => {
    const { layout } = await eventually(open, 30_000)
    t.equal(layout?.title, 'Shown')
  })
  await eventually(() => browser.ask('page.leave', { pageKey }), 30_000)
  t.equal(host.runs.length, before, 'nobody was asked again')
})
