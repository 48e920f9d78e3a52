/**
 * Rows 3 and 5 of the fault matrix, and disks that come back older than they left: all nodes are killed at once and
 * started in any order; a node returns with an empty disk, or with a copy of its disk from before. Nothing that was
 * acknowledged is lost, and what a disk has missed is never served.
 */
import { cpSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import type { TestServer } from '../support/server.js'
import { command } from '../unit/cli/command-process.js'
import { RingRig } from './ring-rig.js'

const isLong = process.env.TEST_LONG !== undefined
const rounds = Number(process.env.TEST_ROUNDS ?? (isLong ? 20 : 1))
/** In these, nodes are seen not to serve what they must not. */
const watchedMs = 7_000
// They take minutes.
const skip = !isLong && 'a part of npm run test:long'

t.setTimeout(isLong ? 3_600_000 : 300_000)

const isNoSocket = (path: string): boolean => !lstatSync(path).isSocket()
const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

function wipe(server: TestServer): void {
  rmSync(server.folder, { recursive: true, force: true, maxRetries: 5 })
  mkdirSync(server.folder)
}

/** A copy of the directory of a node that does not run. */
function backupOf(server: TestServer): string {
  const backup = mkdtempSync(join(tmpdir(), 'interval-backup-'))
  cpSync(server.folder, backup, { recursive: true, filter: isNoSocket })
  return backup
}

function restore(server: TestServer, backup: string): void {
  rmSync(server.folder, { recursive: true, force: true, maxRetries: 5 })
  cpSync(backup, server.folder, { recursive: true })
}

/** Starts a node; resolves with what it said when it ended instead of getting ready. */
function started(server: TestServer): Promise<string> {
  return server.run().then(
    () => 'started',
    () => (server.isRunning ? 'not ready' : server.output),
  )
}

t.test('rows 3 and 5: all nodes killed; disks wiped and set back', { timeout: 3_000_000 }, async t => {
  const rig = await RingRig.start(3, {
    versions: isLong ? ['2.0.0', '1.4.0', '0.38.0'] : ['1.4.0', '0.38.0'],
    environment: { DEBUG: process.env.TEST_DEBUG ?? '' },
  })
  t.teardown(() => rig.stop())
  const { cluster } = rig
  t.comment(`Postgres: ${cluster.postgres.kind}`)
  await rig.load(150)
  await rig.allGoOn()

  await t.test(`row 3: all killed at once and started in any order, ${rounds} times`, async t => {
    for (let round = 0; round < rounds; round++) {
      const { answers } = rig
      await Promise.all(cluster.servers.map(server => server.kill()))
      const order = [0, 1, 2].sort(() => Math.random() - 0.5)
      const startedAtMs = Date.now()
      await Promise.all(
        order.map(async (index, place) => {
          await pause(place * 700)
          await cluster.node(index).run()
        }),
      )
      const readyMs = Date.now() - startedAtMs
      await rig.allGoOn()
      t.pass(
        `started as ${order.join()}: ready after ${readyMs} ms, all ${rig.runs.length} runs went on after ${Date.now() - startedAtMs} ms, from ${answers} answers`,
      )
      await cluster.covered()
    }
  })

  await t.test('row 5: one disk wiped', { skip }, async t => {
    const server = cluster.node(1)
    await server.kill()
    wipe(server)
    await server.run()
    await cluster.covered()
    await rig.allGoOn()
    // Now the copies that it has been sent are the only ones of what this one leads.
    await cluster.node(0).kill()
    await rig.allGoOn()
    t.pass('the runs went on from the copies on the empty disk')
    await cluster.node(0).run()
    await cluster.covered()
  })

  await t.test('row 5: a disk set back to what it held before', { skip }, async t => {
    const server = cluster.node(2)
    await server.kill()
    const backup = backupOf(server)
    t.teardown(() => rmSync(backup, { recursive: true, force: true }))
    await server.run()
    await cluster.covered()
    await rig.allGoOn()
    await rig.allGoOn()
    await server.kill()
    await rig.allGoOn()
    restore(server, backup)
    for (let attempt = 1; attempt <= 3; attempt++)
      t.match(
        await started(server),
        /a copy of one that has been started since/,
        `start ${attempt} is refused`,
      )
    wipe(server)
    await server.run()
    await cluster.covered()
    await rig.allGoOn()
  })

  for (const first of ['owner', 'replica'] as const) {
    for (const fate of ['wiped', 'set back'] as const) {
      await t.test(
        `row 5: both members killed, the ${first} first; one of them ${fate}`,
        { skip },
        async t => {
          await cluster.settled(3)
          const [owner, replica] = first === 'owner' ? [1, 2] : [2, 1]
          // Who dies last may have gone on alone for a moment: what it has then is nowhere else.
          const order = first === 'owner' ? [owner, replica] : [replica, owner]
          const [harmedIndex = owner, lastIndex = replica] = order
          const harmed = cluster.node(harmedIndex)
          // What it held before the last answers.
          await harmed.kill()
          const backup = backupOf(harmed)
          t.teardown(() => rmSync(backup, { recursive: true, force: true }))
          await harmed.run()
          await cluster.covered()
          await cluster.settled(3)
          const own = await partitionsOf(cluster, owner, replica)
          const others = await partitionsOf(cluster, replica, owner)
          const both = [...own, ...others]
          t.comment(`${own.length} and ${others.length} partitions are on these two nodes only`)
          await rig.allGoOn()
          await Promise.all(
            order.map(async (index, place) => {
              await pause(place * 100)
              await cluster.node(index).kill()
            }),
          )
          if (fate === 'wiped') wipe(harmed)
          else restore(harmed, backup)
          const starting = started(harmed)
          const untilMs = Date.now() + watchedMs
          let looks = 0
          while (Date.now() < untilMs) {
            const served = await servedBy(cluster, [0, harmedIndex])
            const wrong = both.filter(partition => served.has(partition))
            if (wrong.length > 0) t.fail(`${wrong.length} partitions are served without their copies`)
            looks += 1
            await pause(100)
          }
          t.pass(`looked ${looks} times: nobody serves what is only on the disk of the other`)
          await cluster.node(lastIndex).run()
          const said = await starting
          if (fate === 'set back') {
            t.match(said, /a copy of one that has been started since/, 'the old disk is refused')
            wipe(harmed)
            await harmed.run()
          }
          await rig.allGoOn()
          await cluster.covered()
          t.pass('all runs went on once the other was back')
        },
      )
    }
  }

  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')

  await t.test('row 5: the disk of the last that went on is wiped', { skip }, async t => {
    await cluster.settled(3)
    await cluster.node(1).kill()
    // It goes on alone with what it had in common with the other.
    await eventually(async () => {
      const alone = (await cluster.status(2)).partitions.filter(
        ({ serving, replicas }) => serving && replicas.length === 0,
      )
      if (alone.length === 0) throw new Error('it does not go on alone')
    }, 30_000)
    const alone = (await cluster.status(2)).partitions
      .filter(({ serving, replicas }) => serving && replicas.length === 0)
      .map(({ partition }) => partition)
    await cluster.node(2).kill()
    wipe(cluster.node(2))
    await Promise.all([
      cluster
        .node(1)
        .run()
        .catch(() => undefined),
      cluster
        .node(2)
        .run()
        .catch(() => undefined),
    ])
    const served = await servedBy(cluster, [0, 1, 2])
    const lost = alone.filter(partition => !served.has(partition))
    t.ok(lost.length > 0, `${lost.length} partitions that only its disk had are served by nobody`)
    const ring = (...words: string[]) =>
      command(['ring', 'adopt', ...words, '--storage:path', cluster.node(0).folder], {
        folder: cluster.node(0).folder,
      })
    const asked = await ring()
    t.equal(asked.code, 1)
    t.match(asked.output, `${lost.length} partitions wait`, 'an operator is told')
    const done = await ring('--accept-loss')
    t.equal(done.code, 0)
    t.match(done.output, `Adopted ${lost.length} partitions`)
    await cluster.covered()
    const after = await servedBy(cluster, [0, 1, 2])
    t.equal(after.size, 256, 'and decides that they go on without it')
  })

  t.comment(
    `${rig.answers} answers in ${rig.runs.length} runs; asked again: ${JSON.stringify(rig.refusals())}`,
  )
})

/** Partitions that this node leads and that the other alone has a copy of. */
async function partitionsOf(cluster: TestCluster, owner: number, replica: number): Promise<number[]> {
  const [status, other] = await Promise.all([cluster.status(owner), cluster.status(replica)])
  return status.partitions
    .filter(({ serving, replicas }) => serving && replicas.length === 1 && replicas[0] === other.node)
    .map(({ partition }) => partition)
}

/** What any of these nodes serves. One that is only starting, or has ended, serves nothing. */
async function servedBy(cluster: TestCluster, nodes: readonly number[]): Promise<Set<number>> {
  const statuses = await Promise.all(nodes.map(node => cluster.status(node).catch(() => null)))
  return new Set(
    statuses.flatMap(
      status => status?.partitions.flatMap(({ partition, serving }) => (serving ? [partition] : [])) ?? [],
    ),
  )
}
