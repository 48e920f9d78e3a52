/**
 * Timers and the death of nodes: one that never comes back, all at once, one that is stopped over the due time, and a
 * start with much that is overdue. Each timer is called, none early, and nothing is called twice that was not under way.
 */
import t, { type Test } from 'tap'
import { partitionOf } from '../../lib/partitions/index.js'
import { type RingStatus, TestCluster } from '../support/cluster.js'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { TimerClient } from '../support/timer-client.js'
import { TimerReceiver } from '../support/timer-receiver.js'

t.setTimeout(900_000)

const isLong = process.env.TEST_LONG !== undefined
/** What takes long, and happens to differ little from what is run always. */
const rare = isLong ? false : 'in npm run test:long'
const pendingCount = isLong ? 6_000 : 600
const overdueCount = isLong ? 5_000 : 500
/** Enough that each of three nodes has more than it may call at once. */
const waitingCount = isLong ? 2_400 : 900
/** Calls of one node to one receiver. */
const callsAtOnce = 128
/** How long creating them may take, in ms. */
const createMsMax = isLong ? 20_000 : 8_000
/** How late a call may be whose node has died, in ms; beside other tests everything takes longer. */
const lateMsMax = isLong ? 3_000 : 10_000
/** How long a ping may take meanwhile, in ms. */
const pingMsMax = isLong ? 1_000 : 5_000
const flags = ['--timers:auth=open', '--timers:callbacks:allow=127.0.0.0/8']

interface Made {
  readonly id: string
  readonly path: string
  /** Not before this, whatever the node took for its beginning, in ms since 1970. */
  readonly earliestAtMs: number
  readonly dueAtMs: number
}

let fills = 0

/** Makes timers, many at a time, that are due at these times (ms since 1970); resolves when all are acknowledged. */
async function fill(
  client: TimerClient,
  receiver: TimerReceiver,
  dueAtMs: readonly number[],
): Promise<Made[]> {
  fills += 1
  const prefix = `/${fills}`
  const made: Made[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let index = next++; index < dueAtMs.length; index = next++) {
      const path = `${prefix}/${index}`
      const timeout = Math.max(1, (dueAtMs[index] ?? 0) - Date.now())
      const callback = { transport: 'http', uri: `${receiver.address}${path}`, method: 'post' }
      const { askedAtMs, atMs, headers, status } = await client.post({ timeout, data: { index }, callback })
      if (status !== 201) throw new Error(`a create was answered ${status}`)
      const id = headers.location?.split('/').at(-1) ?? ''
      made.push({ id, path, earliestAtMs: askedAtMs + timeout, dueAtMs: atMs + timeout })
    }
  }
  await Promise.all(Array.from({ length: 32 }, work))
  return made
}

/** Times spread evenly over `fromMs` to `toMs`. */
function spread(count: number, fromMs: number, toMs: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.round(fromMs + ((toMs - fromMs) * index) / count))
}

function until(atMs: number): Promise<void> {
  return eventuallyTrue('the time comes', () => Date.now() >= atMs, atMs - Date.now() + 10_000)
}

/** Until all were called, which is given up so long after the last is due and anything can be done about it. */
async function allCalled(
  servers: readonly TestServer[],
  receiver: TimerReceiver,
  made: readonly Made[],
  afterMs: number,
): Promise<void> {
  const lastDueAtMs = made.reduce((last, { dueAtMs }) => Math.max(last, dueAtMs), Date.now())
  const missing = () => made.filter(({ path }) => receiver.at(path).length === 0)
  try {
    await eventually(
      () => {
        if (missing().length > 0) throw new Error('some were not called')
      },
      lastDueAtMs - Date.now() + afterMs,
    )
  } catch (error) {
    const left = missing()
    const facts = await Promise.all(left.slice(0, 5).map(({ id }) => factsOf(servers, id)))
    throw new Error(`${left.length} of ${made.length} were not called: ${facts.join('; ')}`, { cause: error })
  }
}

/** What each node says of a timer and of the partition it is in. */
async function factsOf(servers: readonly TestServer[], id: string): Promise<string> {
  const partition = partitionOf(`timer:${id}`)
  const facts = servers.map(async server => {
    if (!server.isRunning) return 'stopped'
    const asked = await fetch(`${server.address}/api/v1/timers/${id}`).then(answer => answer.text(), String)
    const { partitions } = await server.admin<RingStatus>('ringStatus', {})
    const row = partitions.find(each => each.partition === partition)
    const said = server.output.split('\n').filter(line => line.includes(id))
    return `${asked}, ${JSON.stringify(row)}, ${JSON.stringify(said)}`
  })
  return `timer ${id} in partition ${partition}: ${(await Promise.all(facts)).join(' | ')}`
}

interface Tally {
  readonly early: number
  readonly latestMs: number
  /** Calls beyond the first of a firing. */
  readonly repeats: number
  /** Timers that were called under more than one name. */
  readonly renamed: number
}

function tally(t: Test, receiver: TimerReceiver, made: readonly Made[]): Tally {
  let early = 0
  let earliestMs = 0
  let latestMs = Number.NEGATIVE_INFINITY
  let repeats = 0
  let renamed = 0
  for (const { path, earliestAtMs, dueAtMs } of made) {
    const calls = receiver.at(path)
    const firstAtMs = calls[0]?.atMs ?? Number.POSITIVE_INFINITY
    if (firstAtMs < earliestAtMs) early += 1
    earliestMs = Math.max(earliestMs, earliestAtMs - firstAtMs)
    latestMs = Math.max(latestMs, firstAtMs - dueAtMs)
    const names = new Set(calls.map(call => call.headers['x-timer-firing']))
    repeats += calls.length - names.size
    if (names.size > 1) renamed += 1
  }
  t.comment(
    `${made.length} timers: ${early} early (by ${earliestMs} ms at most), the latest ${latestMs} ms, ${repeats} called twice`,
  )
  return { early, latestMs, repeats, renamed }
}

t.test('three nodes', async t => {
  const cluster = await TestCluster.start(3, flags)
  const receiver = await TimerReceiver.start()
  const clients: TimerClient[] = []
  t.teardown(async () => {
    for (const client of clients) client.close()
    await cluster.stop()
    await receiver.stop()
  })
  /** Asks these nodes in turn. */
  const clientOf = (...nodes: number[]): TimerClient => {
    const client = new TimerClient(nodes.map(node => cluster.node(node).address))
    clients.push(client)
    return client
  }

  /** Stops a node, wakes it when `happened` and it is replaced, and returns when it has said what it still had to say. */
  const frozen = async (node: number, happened: () => Promise<void>): Promise<void> => {
    const others = [0, 1, 2].filter(other => other !== node)
    cluster.node(node).freeze(true)
    try {
      await happened()
      await eventually(async () => {
        const statuses = await Promise.all(others.map(other => cluster.status(other)))
        const served = statuses.flatMap(({ partitions }) =>
          partitions.filter(({ serving }) => serving),
        ).length
        if (served !== 256) throw new Error(`${served} partitions are served`)
      }, 60_000)
    } finally {
      cluster.node(node).freeze(false)
    }
    await cluster.covered()
    // What it had to send before goes out before what it is asked for now.
    const after = await fill(clientOf(node), receiver, spread(50, Date.now() + 500, Date.now() + 1_000))
    await allCalled(cluster.servers, receiver, after, 30_000)
  }

  await t.test('one is killed and never comes back', async t => {
    const baseMs = Date.now() + createMsMax
    const client = clientOf(0, 1, 2)
    const made = await fill(client, receiver, spread(pendingCount, baseMs + 4_000, baseMs + 10_000))
    await until(Date.now() + 1_000)
    t.ok(Date.now() < baseMs + 4_000, 'all are pending')
    await cluster.node(1).kill()
    await allCalled(cluster.servers, receiver, made, 60_000)
    const { early, latestMs, renamed, repeats } = tally(t, receiver, made)
    t.equal(early, 0, 'none is early')
    t.ok(latestMs <= lateMsMax, `the latest is ${latestMs} ms late`)
    t.equal(repeats, 0, 'none was under way, so none is called twice')
    t.equal(renamed, 0)
  })

  await t.test('one is killed while they fire', { skip: rare }, async t => {
    await cluster.node(1).run()
    await cluster.covered()
    const baseMs = Date.now() + createMsMax
    const made = await fill(clientOf(0, 1, 2), receiver, spread(pendingCount, baseMs, baseMs + 4_000))
    await until(baseMs + 1_000)
    await cluster.node(2).kill()
    const called = made.filter(({ path }) => receiver.at(path).length > 0).length
    t.ok(called > 0 && called < made.length, `${called} were called before`)
    await allCalled(cluster.servers, receiver, made, 60_000)
    const { early, latestMs, renamed } = tally(t, receiver, made)
    t.equal(early, 0, 'none is early')
    t.ok(latestMs <= lateMsMax, `the latest is ${latestMs} ms late`)
    t.equal(renamed, 0, 'what is called again has the same name')
  })

  await t.test('one is stopped over the due time', async t => {
    await cluster.node(isLong ? 2 : 1).run()
    await cluster.covered()
    const dueAtMs = Date.now() + createMsMax + 3_000
    // What a node is asked for it keeps to itself: half of them is led by the one that is stopped.
    const made = await fill(clientOf(0, 1), receiver, spread(pendingCount / 4, dueAtMs, dueAtMs + 500))
    const owned = (await cluster.owners()).filter(owner => owner === 0).length
    t.ok(owned > 0, `it owns ${owned} partitions`)
    await until(dueAtMs - 1_000)
    t.equal(made.filter(({ path }) => receiver.at(path).length > 0).length, 0, 'all are pending')
    await frozen(0, () => allCalled(cluster.servers, receiver, made, 60_000))
    const { early, latestMs, renamed, repeats } = tally(t, receiver, made)
    t.equal(early, 0, 'none is early')
    t.ok(latestMs <= lateMsMax, `the latest is ${latestMs} ms late`)
    t.equal(repeats, 0, 'one request for each firing')
    t.equal(renamed, 0, 'one firing for each timer')
  })

  await t.test('one is stopped while calls of its wait for their turn', { skip: rare }, async t => {
    await cluster.settled(3)
    const dueAtMs = Date.now() + createMsMax
    const made = await fill(clientOf(0, 1, 2), receiver, spread(waitingCount, dueAtMs, dueAtMs + 100))
    receiver.hold()
    const before = receiver.calls.length
    await eventuallyTrue(
      'each node makes as many calls as it may at once',
      () => receiver.calls.length - before >= 3 * callsAtOnce,
      dueAtMs - Date.now() + 60_000,
    )
    await frozen(0, () => {
      receiver.release()
      return allCalled(cluster.servers, receiver, made, 60_000)
    })
    const { early, renamed, repeats } = tally(t, receiver, made)
    t.equal(early, 0, 'none is early')
    t.ok(repeats <= callsAtOnce, 'only what was under way is called twice')
    t.equal(renamed, 0, 'what is called again has the same name')
  })

  await t.test('all are killed and start again', async t => {
    const baseMs = Date.now() + createMsMax
    const made = await fill(clientOf(0, 1, 2), receiver, spread(pendingCount, baseMs + 1_000, baseMs + 7_000))
    await Promise.all(cluster.servers.map(server => server.kill()))
    t.equal(made.filter(({ path }) => receiver.at(path).length > 0).length, 0, 'all are pending')
    await until(baseMs + 4_000)
    await Promise.all(cluster.servers.map(server => server.run()))
    await allCalled(cluster.servers, receiver, made, 60_000)
    await cluster.covered()
    const { early, renamed, repeats } = tally(t, receiver, made)
    t.equal(early, 0, 'none is early')
    t.equal(repeats, 0, 'none was under way, so none is called twice')
    t.equal(renamed, 0)
  })
})

t.test('much is overdue at the start', async t => {
  const server = await TestServer.start({ flags })
  const receiver = await TimerReceiver.start()
  const client = new TimerClient([server.address])
  t.teardown(async () => {
    client.close()
    await server.stop()
    await receiver.stop()
  })
  const dueAtMs = Date.now() + createMsMax
  const made = await fill(client, receiver, spread(overdueCount, dueAtMs, dueAtMs + 500))
  await server.kill()
  t.equal(receiver.calls.length, 0, 'all are pending')
  await until(dueAtMs + 600)

  // Nobody is answered before the node has answered, so it cannot be waiting for the calls.
  receiver.hold()
  const running = server.run()
  const pings: number[] = []
  const ping = async (): Promise<void> => {
    const { askedAtMs, atMs, status } = await client.ask('GET', '/ping')
    if (status !== 200) throw new Error(`ping: ${status}`)
    pings.push(atMs - askedAtMs)
  }
  await eventually(ping, 60_000)
  await running
  await eventuallyTrue('as many are called as may be at once', () => receiver.heldMost > 0)
  for (let count = 0; count < 50; count += 1) await ping()
  t.ok(receiver.heldMost <= callsAtOnce, `${receiver.heldMost} calls at once`)
  receiver.release()
  while (receiver.calls.length < made.length && pings.length < 10_000) await ping()
  await allCalled([server], receiver, made, 60_000)
  const slowestMs = Math.max(...pings)
  t.comment(`${pings.length} pings, the slowest ${slowestMs} ms; ${receiver.heldMost} calls at once`)
  t.ok(slowestMs < pingMsMax, `the slowest ping took ${slowestMs} ms`)
  const { early, renamed, repeats } = tally(t, receiver, made)
  t.equal(early, 0, 'none is early')
  t.equal(repeats, 0, 'none was under way, so none is called twice')
  t.equal(renamed, 0)
})
