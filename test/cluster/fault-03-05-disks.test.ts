/**
 * Rows 3 and 5 of the fault matrix, and disks that come back older than they left: all nodes are killed at once and
 * started in any order; a node returns with an empty disk, or with a copy of its disk from before. Nothing that was
 * acknowledged is lost, and what a disk has missed is never served.
 */
import { cpSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { RingRig } from './ring-rig.js'

t.setTimeout(300_000)

const rounds = process.env.TEST_LONG === undefined ? 2 : 20
const isNoSocket = (path: string): boolean => !lstatSync(path).isSocket()
const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

// It takes minutes.
const skip = process.env.TEST_LONG === undefined && 'a part of npm run test:long'

t.test('rows 3 and 5: all nodes killed; disks wiped and set back', { timeout: 3_000_000, skip }, async t => {
  const rig = await RingRig.start(3, {
    versions: ['2.0.0', '1.4.0', '0.38.0'],
    environment: { DEBUG: process.env.TEST_DEBUG ?? '' },
  })
  t.teardown(() => rig.stop())
  const { cluster } = rig
  await rig.load(150)
  await rig.allGoOn()

  await t.test(`row 3: all killed at once and started in any order, ${rounds} times`, async t => {
    for (let round = 0; round < rounds; round++) {
      const answers = rig.answers
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
      await cluster.covered()
      await rig.allGoOn()
      t.pass(
        `started as ${order.join()}: ready after ${readyMs} ms, all runs went on from ${answers} answers`,
      )
    }
  })

  await t.test('row 5: one disk wiped', async t => {
    const server = cluster.node(1)
    await server.kill()
    rmSync(server.folder, { recursive: true, force: true, maxRetries: 5 })
    mkdirSync(server.folder)
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

  await t.test('a disk set back to what it held before', async t => {
    const server = cluster.node(2)
    const backup = mkdtempSync(join(tmpdir(), 'interval-backup-'))
    t.teardown(() => rmSync(backup, { recursive: true, force: true }))
    await server.kill()
    cpSync(server.folder, backup, { recursive: true, filter: isNoSocket })
    await server.run()
    await cluster.covered()
    await rig.allGoOn()
    await rig.allGoOn()
    await server.kill()
    await rig.allGoOn()
    rmSync(server.folder, { recursive: true, force: true, maxRetries: 5 })
    cpSync(backup, server.folder, { recursive: true })
    const outcome = await server.run().then(
      () => 'started',
      (error: Error) => `refused: ${error.message}`,
    )
    t.comment(outcome)
    if (outcome === 'started') {
      await cluster.covered()
      await rig.allGoOn()
      await cluster.node(0).kill()
      await rig.allGoOn()
      t.pass('it was copied to anew: the runs went on from its copies')
      await cluster.node(0).run()
      await cluster.covered()
    }
  })

  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')
  t.comment(
    `${rig.answers} answers in ${rig.runs.length} runs; asked again: ${JSON.stringify(rig.refusals())}`,
  )
})
