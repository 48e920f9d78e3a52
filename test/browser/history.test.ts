/** The history as people see it: found, narrowed down, read with what was entered and without secrets, taken away. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { looks } from './looks.js'
import { continueButton, gone, isAt, reads, resultOf, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t)
const seeded = await stage.seed()
const home = `/dashboard/${seeded.organization.slug}`
const history = `${home}/transactions`

const host = sdkHost('2.0.0', {
  endpoint: stage.server.endpoint,
  apiKey: seeded.liveKey,
  actions: {
    enroll: async (io, ctx) => {
      const [name] = await io.group([
        io.input.text('Person'),
        io.input.text('New password'),
        io.input.number('Amount').optional(),
      ])
      await ctx.log('Enrolled', name)
      return { enrolled: name }
    },
    breaks: async () => {
      throw new Error('it broke')
    },
  },
})
await host.listen()

await stage.scenario(t, 'nothing has run yet', async ({ page }) => {
  await page.goto(history)
  await shown(page.getByText('No runs yet'))
})

await stage.scenario(t, 'a run is found and read with what was entered, without secrets', async scenario => {
  const { page, t } = scenario
  await page.goto(`${home}/actions/enroll?from=afar&api_key=hunter2`)
  await page.getByLabel('Person').fill('Ada')
  await page.getByLabel('New password').fill('hunter2')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'enrolledAda')
  await page.goto(`${home}/actions/breaks`)
  t.match(await resultOf(page, 'Error'), 'it broke')

  await page.getByRole('link', { name: 'History' }).click()
  await isAt(page, history)
  const rows = page.locator('[data-pw-history] > li')
  await eventually(async () => {
    // What has just begun or ended is written a moment later.
    await page.reload()
    await rows.first().waitFor({ timeout: 2_000 })
    const texts = await rows.allInnerTexts()
    if (texts.length !== 2 || texts.some(text => text.includes('Not ended'))) throw new Error(texts.join())
  })
  await reads(page.getByText('2 runs'), '2 runs')
  await looks(scenario, 'history')

  await page.getByLabel('Result').selectOption('Error')
  await reads(page.getByText('1 run'), '1 run')
  await reads(rows, /breaks/)
  await isAt(page, `${history}?status=failure`)
  await page.getByLabel('Search').fill('Nobody')
  await shown(page.getByText('Nothing found'))
  await looks(scenario, 'history nothing found')
  await page.getByRole('button', { name: 'Clear' }).click()
  await page.getByLabel('Search').fill('enr')
  await reads(rows, /enroll/)

  await rows.first().locator('a').click()
  await shown(page.getByText('What was entered'))
  await shown(page.getByText('Started by'))
  await reads(
    page.locator('section[aria-labelledby="run-inputs"] dl'),
    'PersonAdaNew password••••••Amountnothing',
  )
  await reads(page.locator('section[aria-labelledby="run-params"] dl'), 'fromafarapi_key••••••')
  t.notMatch(await page.content(), /hunter2/)
  await page.locator('[data-pw-tab-id="Logs"]').click()
  await reads(page.locator('[data-pw-transaction-logs]'), /Enrolled Ada/)
  await page.locator('[data-pw-tab-id="Logs"]').click()
  await looks(scenario, 'history details')
})

await stage.scenario(t, 'what came out is shared by its address', async scenario => {
  const { context, page, t } = scenario
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(`${home}/actions/enroll`)
  await page.getByLabel('Person').fill('Grace')
  await page.getByLabel('New password').fill('hunter2')
  t.equal(await page.getByText('Share these results').count(), 0, 'not before there are any')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'enrolledGrace')
  await page.getByRole('button', { name: 'Share these results' }).click()
  await shown(page.getByText('Link copied'))
  const address = await page.evaluate<string>('navigator.clipboard.readText()')
  t.match(new URL(address), { origin: stage.server.address, search: '?history' })
  await eventually(async () => {
    await page.goto(address)
    await page.locator('[data-test-id="result-type"]').waitFor({ timeout: 2_000 })
  })
  t.equal(await resultOf(page), 'enrolledGrace')
  await shown(page.getByRole('button', { name: 'Share these results' }))
  await looks(scenario, 'shared results')
})

await stage.scenario(t, 'the list is taken away as a file', async ({ page, t }) => {
  await page.goto(`${history}?search=enroll`)
  await shown(page.locator('[data-pw-history]'))
  for (const format of ['CSV', 'JSON']) {
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Export' }).click()
    await page.getByRole('menuitem', { name: `As ${format}` }).click()
    const file = await download
    t.equal(file.suggestedFilename(), `history.${format.toLowerCase()}`)
    const text = readFileSync((await file.path()) ?? '', 'utf8')
    t.match(text, /Ada/)
    t.notMatch(text, /hunter2|breaks/)
  }
  await gone(page.getByRole('menuitem'))
})
