/** Schedules in the browser: made, looked at, run by hand, paused, changed, deleted, and what came of them. */
import t from 'tap'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { looks } from './looks.js'
import { gone, isAt, reads, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t)
const seeded = await stage.seed()
const section = `/dashboard/${seeded.organization.slug}/organization/schedules`
const started: unknown[] = []
const host = sdkHost('2.0.0', {
  endpoint: stage.server.endpoint,
  apiKey: seeded.liveKey,
  backgroundable: ['clean_up'],
  actions: {
    clean_up: async (_io, ctx) => {
      started.push(ctx.params)
      return 'clean'
    },
  },
})
await host.listen()

await stage.scenario(t, 'a schedule is made, with words and times before it is', async scenario => {
  const { page, t } = scenario
  await page.goto(section)
  await shown(page.getByText('Nothing runs by itself yet'))
  await page.getByRole('button', { name: 'New schedule' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Action').fill('clean_up')
  await dialog.getByRole('button', { name: 'Every weekday' }).click()
  await dialog.getByLabel('Time zone').fill('Asia/Tokyo')
  await reads(dialog.getByRole('status'), /^Every weekday at 9:00 AM.*9:00 AM.*9:00 AM.*9:00 AM$/)
  await dialog.getByLabel('Parameters').fill('what = everything\ncount = 3\nreally = true')
  await looks(scenario, 'schedule form')
  await dialog.getByLabel('Tell who it runs as of success too').check()
  await dialog.getByLabel('Cron text').fill('0 9 31 2 *')
  await reads(dialog.getByRole('status'), /never come/)
  await dialog.getByRole('button', { name: 'Make the schedule' }).click()
  await reads(page.locator('#input-cron-error'), 'never comes true')
  await dialog.getByLabel('Cron text').fill('0 9 * * *')
  await page.keyboard.press('Enter')
  await gone(dialog)
  const row = await shown(page.getByRole('list', { name: 'Schedules' }).getByRole('listitem'))
  await reads(row, /clean_upEvery day at 9:00 AM · Asia\/TokyoNext .* 9:00 AM \(.* here\)/)
  await looks(scenario, 'schedules')
  t.equal(started.length, 0)
})

await stage.scenario(t, 'it is run by hand, and what came of it is told', async scenario => {
  const { page, t } = scenario
  await page.goto(section)
  await page.getByRole('button', { name: 'Options for clean_up' }).click()
  await page.getByRole('menuitem', { name: 'Run now' }).click()
  await shown(page.getByText('“clean_up” runs now.'))
  await eventuallyTrue('the action was started', () => started.length > 0, 30_000)
  t.same(started, [{ what: 'everything', count: 3, really: true }])
  await page.getByRole('link', { name: 'clean_up' }).click()
  await isAt(page, new RegExp(`^${section}/`))
  const runs = page.getByRole('list', { name: 'Runs' }).filter({ hasText: /by hand.*Completed/ })
  await eventually(async () => {
    await page.getByRole('button', { name: 'Refresh' }).click()
    await runs.waitFor({ timeout: 1_000 })
  }, 30_000)
  await shown(page.getByText('Success and what went wrong'))
  await looks(scenario, 'schedule runs')
  await page.getByRole('link', { name: 'Open' }).click()
  await shown(page.getByText('Started with'))
  await reads(page.locator('[data-test-id="transaction-result"]'), 'clean')
})

await stage.scenario(t, 'it is paused, goes on, changes, and is deleted after asking', async ({ page }) => {
  await page.goto(section)
  const row = page.getByRole('list', { name: 'Schedules' }).getByRole('listitem')
  const choose = async (name: string) => {
    await page.getByRole('button', { name: 'Options for clean_up' }).click()
    await page.getByRole('menuitem', { name }).click()
  }
  await choose('Pause')
  await reads(row, /Paused/)
  await choose('Resume')
  await reads(row, /Next/)
  await choose('Edit…')
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('When').selectOption('At an interval')
  await dialog.getByLabel('Every', { exact: true }).fill('2')
  await dialog.getByLabel('Unit').selectOption('hours')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await gone(dialog)
  await reads(row, /Every 2 hours/)
  await choose('Delete…')
  await page.getByRole('button', { name: 'Delete the schedule' }).click()
  await shown(page.getByText('Nothing runs by itself yet'))
})

await stage.scenario(t, 'an action leads to its schedules', async ({ page }) => {
  await page.goto(section.replace('schedules', 'actions'))
  await page.getByRole('link', { name: 'Schedules of clean_up' }).click()
  await isAt(page, `${section}?environment=production&action=clean_up`)
  await shown(page.getByText('Show all'))
})
