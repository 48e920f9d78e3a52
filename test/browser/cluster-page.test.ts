/** What an administrator sees of a ring while a node of it is killed and comes back. */
import t from 'tap'
import { TestCluster } from '../support/cluster.js'
import { accessibilityProblems, continueButton, reads, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const cluster = await TestCluster.start(3)
const stage = await Stage.on(t, cluster.node(0), () => cluster.stop())
const seeded = await stage.seed()
await stage.startDemoHost(seeded.liveKey)
const home = `/dashboard/${seeded.organization.slug}`

await stage.scenario(t, 'the cluster page, while a node is killed and comes back', async scenario => {
  const { t, page, picture } = scenario
  await page.goto(`${home}/cluster`)
  const summary = page.locator('header p.text-muted')
  await reads(summary, '3 nodes. 256 of 256 partitions are served, 256 have all 2 copies.')
  const rows = page.getByRole('region', { name: 'Nodes' }).locator('tbody tr')
  t.equal(await rows.count(), 3)
  t.same(await rows.locator('td:nth-child(2)').allTextContents(), ['Ready', 'Ready', 'Ready'])
  const serves = (await rows.locator('td:nth-child(3)').allTextContents()).map(Number)
  t.equal(
    serves.reduce((sum, count) => sum + count, 0),
    256,
  )
  t.same(await accessibilityProblems(page), [])
  await picture('cluster of three')
  await cluster.node(2).kill()
  await shown(rows.filter({ hasText: 'Gone' }))
  await reads(summary, '3 nodes. 256 of 256 partitions are served, 256 have all 2 copies.')
  await picture('cluster with a killed node')
  await cluster.node(2).run()
  await reads(rows.locator('td:nth-child(2)').nth(0), 'Ready')
  await reads(rows.locator('td:nth-child(2)').nth(1), 'Ready')
  await reads(rows.locator('td:nth-child(2)').nth(2), 'Ready')
})

await stage.scenario(t, 'a run says which node leads it', async ({ t, page, picture }) => {
  await page.goto(home)
  await page.locator('[data-pw-run-slug]').first().click()
  await shown(continueButton(page))
  await page.locator('[data-pw-control-panel]').getByText('Logs').click()
  const line = page.getByText(/^Led by node/)
  await reads(line, /^Led by node \S+ at 127\.0\.0\.1:\d+, partition \d+, copied to \S+$/)
  t.same(await accessibilityProblems(page), [])
  await picture('a run of a cluster')
})
