/** The rows in Postgres: what a change costs others when Postgres stands still, or somebody holds a row. */
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { DatabaseConfigurations, openDatabase } from '../../../lib/database/index.js'
import type { NodeId } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import type { StoreId } from '../../../lib/partitions/index.js'
import type { PartitionId } from '../../../lib/ring/index.js'
import { freePort } from '../../support/ports.js'
import { startPostgres } from '../../support/postgres.js'

t.setTimeout(120_000)

const partition = 5 as PartitionId
const store = 'store-a' as StoreId

/** Carries connections to Postgres until it is told to stand still: then they stay open, and nothing passes. */
async function startGate(url: string) {
  const target = new URL(url)
  const at = { port: Number(target.port), host: target.hostname }
  const folder = target.searchParams.get('host')
  const socketPath = folder === null ? null : join(folder, `.s.PGSQL.${at.port}`)
  target.searchParams.delete('host')
  const sockets = new Set<Socket>()
  let isStill = false
  const server = createServer(client => {
    const upstream = socketPath === null ? connect(at.port, at.host) : connect(socketPath)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('data', data => !isStill && to.write(data))
      from.on('error', () => undefined)
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  target.host = `127.0.0.1:${port}`
  return {
    url: target.toString(),
    stand: () => {
      isStill = true
    },
    goOn: () => {
      isStill = false
      for (const socket of sockets) socket.destroy()
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function took(work: () => Promise<unknown>): Promise<{ ms: number; error: unknown }> {
  const sinceMs = performance.now()
  const error = await work().then(
    () => undefined,
    (error: unknown) => error,
  )
  return { ms: performance.now() - sinceMs, error }
}

t.test('a Postgres that stands still, and a row that somebody holds', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  const gate = await startGate(postgres.url)
  t.teardown(() => gate.close())
  const database = await openDatabase({ url: gate.url, log: silentLog })
  t.teardown(() => database.close())
  await database.migrate()
  const configurations = new DatabaseConfigurations(database)
  const nodeId = 'node-a' as NodeId
  await configurations.register(
    { nodeId, storeId: store, boot: 1, channelAddress: 'a:1', forwardAddress: 'a:2' },
    new Map([[partition, 1]]),
  )
  const change = (epoch: number) => [
    { partition, epoch, owner: store, replicas: [], nonce: `change-${epoch}` },
  ]
  t.match(await configurations.swap(change(2)), [{ epoch: 2, nonce: 'change-2' }])

  // Rows that have not changed are not sent again; those that were set back are.
  const epochs = async () => (await configurations.read()).map(row => row.epoch)
  t.same([await epochs(), await epochs()], [[2], [2]])
  await database.query('update partition_configurations set epoch = 1')
  t.same(await epochs(), [1])
  await database.query('update partition_configurations set epoch = 2')
  t.same(await epochs(), [2])

  // A node whose disk was replaced: the others are told which stores they need not wait for.
  const other = { nodeId: 'node-b' as NodeId, boot: 1, channelAddress: 'b:1', forwardAddress: 'b:2' }
  for (const storeId of ['store-b', 'store-c'] as StoreId[])
    await configurations.register({ ...other, storeId }, new Map())
  t.same((await configurations.nodes()).map(each => [each.nodeId, each.storeId, each.formerStores]).sort(), [
    ['node-a', store, []],
    ['node-b', 'store-c', ['store-b']],
  ])

  // The embedded database does one thing at a time: nobody can hold a row, or a connection, against another.
  if (!postgres.kind.includes('embedded')) {
    await database.transaction(async client => {
      await client.query('select * from partition_configurations for update')
      const held = await took(() => configurations.swap(change(3)))
      t.ok(held.error, 'the row is held')
      t.ok(held.ms < 1_500, `given up after ${Math.round(held.ms)} ms`)
    })
    const { rows } = await database.query<{ lock_timeout: string }>('show lock_timeout')
    t.equal(rows[0]?.lock_timeout, '0', 'other statements wait as before')

    // All connections of the pool are in use: rows are read and changed all the same.
    const busy = Array.from({ length: 10 }, () => database.query('select pg_sleep(3)'))
    const beside = await took(() => configurations.swap(change(3)))
    t.equal(beside.error, undefined)
    t.ok(beside.ms < 2_500, `${Math.round(beside.ms)} ms beside a busy pool`)
    await Promise.all(busy)
  }

  gate.stand()
  const asked = await Promise.all([
    took(() => configurations.read()),
    took(() => configurations.swap(change(4))),
  ])
  for (const { error, ms } of asked) {
    t.match(error, { code: 'unavailable' })
    t.ok(ms < 4_000, `given up after ${Math.round(ms)} ms`)
  }
  gate.goOn()
  await t.resolves(configurations.read(), 'it goes on by itself')
})
