/**
 * Every action of the sample host, run to its end in a real browser, with what the host returned checked on screen.
 * Look-ups are strict wherever suites written for the original are: a second match is a failure.
 */
import type { Page } from 'playwright-core'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import {
  accessibilityProblems,
  continueButton,
  gone,
  isAt,
  noting,
  reads,
  resultOf,
  type Scenario,
  Stage,
  shown,
} from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t)
const seeded = await stage.seed()
await stage.startDemoHost(seeded.liveKey)
const home = `/dashboard/${seeded.organization.slug}`

/** Opens the list and clicks the action. */
async function start(page: Page, slug: string): Promise<void> {
  await page.goto(home)
  await shown(page.locator('[data-pw-actions-list]'))
  await page.locator(`[data-pw-run-slug="${slug}"]`).click()
  await isAt(page, `${home}/actions/${slug}`)
}

await stage.scenario(
  t,
  'the list: every action once, pages apart from actions',
  async ({ t, page, picture }) => {
    await page.goto(`${home}/`)
    const list = await shown(page.locator('[data-pw-actions-list]'))
    for (const slug of [
      'hello',
      'sign_up',
      'refund',
      'find_people',
      'show_everything',
      'import_rows',
      'fail',
    ]) {
      const entry = await shown(page.locator(`[data-pw-run-slug="${slug}"]`))
      t.equal(await page.locator(`a[data-pw-run-slug="${slug}"]`).count(), 1)
      t.equal(await entry.getAttribute('href'), `${home}/actions/${slug}`)
    }
    await shown(list.locator('[data-pw-action-group="people"]'))
    t.equal(await page.locator('[data-pw-run-slug="people"]').count(), 0)
    await reads(page.locator('#desktop-nav li'), 'People')
    await shown(page.locator('h2'))
    t.same(await accessibilityProblems(page), [])
    await picture('list')
  },
)

await stage.scenario(t, 'hello: one question, one answer', async ({ t, page, picture }) => {
  await start(page, 'hello')
  await reads(page.locator('h2'), 'Say hello')
  await shown(page.getByText('Your name'))
  const first = (await page.locator('input').first().getAttribute('id')) ?? ''
  const label = page.locator('label', { hasText: 'Your name' })
  t.equal(await label.getAttribute('for'), first, 'the first input of the document is the field of the form')
  t.match(first, /^[A-Za-z][A-Za-z0-9_-]*$/, 'ids need no escaping')
  t.equal(await page.locator('input[type="text"]').count(), 1)
  await gone(page.locator('[data-pw="field-error"]'))
  await continueButton(page).click({ position: { x: 3, y: 3 } })
  await reads(page.locator('[data-pw="field-error"]'), 'This field is required.')
  await picture('hello refused')
  await label.click()
  await page.keyboard.type('Ada')
  await gone(page.locator('[data-pw="field-error"]'))
  t.same(await accessibilityProblems(page), [])
  await continueButton(page).click()
  t.equal(await resultOf(page), 'Hello, Ada!')
  t.equal(await continueButton(page).count(), 0, 'an answered form has no button')
  t.same(await accessibilityProblems(page), [])
  await picture('hello result')
  await isAt(page, `${home}/actions/hello`)
  await page.locator('.btn a', { hasText: 'Go back' }).click()
  t.equal(await page.evaluate('location.pathname'), home, 'the address changes within the click')
})

await stage.scenario(
  t,
  'sign_up: fields, their errors and the whole form’s',
  async ({ t, page, picture }) => {
    await start(page, 'sign_up')
    await page.getByLabel('Full name').fill('A')
    await page.getByLabel('Email address').fill('ada@example.com')
    await continueButton(page).click()
    await reads(page.locator('[data-pw="field-error"]'), /between 2 and 60 characters/)
    await page.getByLabel('Full name').fill('Ada Quill')
    await page.getByLabel('Age').fill('12')
    await reads(page.locator('[data-pw="field-error"]'), 'Please enter a number between 13 and 130.')
    await picture('sign up field error')
    await page.getByLabel('Age').fill('15')
    await gone(page.locator('[data-pw="field-error"]'))
    await page.getByLabel('Plan').click()
    const menu = await shown(page.locator('.iv-select__menu'))
    await picture('sign up menu')
    await menu.locator('div div', { hasText: 'Business' }).click()
    await reads(page.locator('.iv-select__single-value'), 'Business')
    await page.getByText('Send the newsletter').click()
    t.equal(await page.locator('input[type="checkbox"]').isChecked(), false)
    await continueButton(page).click()
    await reads(
      page.locator('[data-pw="form-error"] [data-pw="field-error"]'),
      'The Business plan is for adults.',
    )
    t.same(await accessibilityProblems(page), [])
    await picture('sign up form error')
    await page.getByLabel('Age').fill('')
    await continueButton(page).click()
    t.equal(await resultOf(page), 'nameAda Quillemailada@example.comageplanBusinessnewsletterfalse')
    await picture('sign up result')
  },
)

await stage.scenario(
  t,
  'sign_up: the browser itself blocks an address that is none',
  async ({ t, page }: Scenario) => {
    await start(page, 'sign_up')
    await page.getByLabel('Full name').fill('Ada Quill')
    await page.getByText('Email address').click()
    await page.keyboard.type('notanemail')
    await continueButton(page).click()
    t.equal(await page.locator('input:invalid').count(), 1)
    t.equal(await page.locator('[data-pw="field-error"]').count(), 0)
    await page.getByText('Email address').click()
    await page.keyboard.type('ada@example.com')
    await continueButton(page).click()
    t.match(await resultOf(page), /email\S*ada@example\.com/)
  },
)

await stage.scenario(t, 'refund: asks, works, returns', async ({ t, page, picture }) => {
  await start(page, 'refund')
  const amount = page.getByLabel('Amount')
  t.equal(await amount.getAttribute('inputmode'), 'decimal')
  await amount.fill('12.345')
  await continueButton(page).click()
  await reads(page.locator('[data-pw="field-error"]'), 'Please enter a number with up to 2 decimal places.')
  await amount.fill('12.34')
  await continueButton(page).click()
  const asked = await shown(page.locator('[data-io-confirm]'))
  await shown(page.getByText('Refund 12.34 USD?'))
  await shown(page.getByText('This cannot be undone.'))
  t.equal(await page.locator('button', { hasText: 'Confirm' }).count(), 1)
  t.equal(await continueButton(page).count(), 0)
  await picture('refund confirm')
  const label = await noting(page, '[data-pw-label]')
  const description = await noting(page, '[data-pw-description]')
  await asked.getByRole('button', { name: 'Confirm' }).click()
  await label('Refunding …')
  await description('Talking to the bank')
  t.equal(await page.locator('[data-io-confirm]').count(), 0)
  await picture('refund loading')
  t.equal(await resultOf(page), 'refunded12.34')
  await gone(page.locator('[data-pw-label]'))
  const panel = page.locator('[data-pw-control-panel]')
  t.equal(await panel.getAttribute('data-pw-expanded'), 'false')
  t.equal(await page.locator('[data-pw-transaction-logs] > div').count(), 1, 'kept while collapsed')
  await page.locator('[data-pw-tab-id="Logs"]').click()
  t.equal(await panel.getAttribute('data-pw-expanded'), 'true')
  await reads(page.locator('[data-pw-transaction-logs] > div'), 'Refunded 12.34')
  await picture('refund result')
  await page.locator('[data-pw-tab-id="Logs"]').click()
  t.equal(await panel.getAttribute('data-pw-expanded'), 'false')
})

await stage.scenario(t, 'refund: a No is an answer too', async ({ t, page }) => {
  await start(page, 'refund')
  await page.getByLabel('Amount').fill('5')
  await page.keyboard.press('Enter')
  await page.locator('[data-io-confirm]').getByRole('button', { name: 'Cancel' }).click()
  t.equal(await resultOf(page), 'Nothing was refunded.')
})

await stage.scenario(t, 'find_people: rows are chosen, filtered, sorted', async ({ t, page, picture }) => {
  await start(page, 'find_people')
  const table = await shown(page.locator('.iv-table'))
  const rows = table.locator('[role="row"]')
  await rows.first().waitFor()
  t.equal(await rows.count(), 20)
  t.equal(await table.locator('[data-pw="pagination"]').count(), 2)
  t.equal(await table.getByText('1 - 20 of 120', { exact: true }).count(), 2)
  await continueButton(page).click()
  await reads(page.locator('[data-pw="field-error"]'), 'Please make at least 1 selection.')
  await table.locator('input[aria-label="Select all"]').click()
  t.equal(await table.locator('[role="row"] input:checked').count(), 20)
  await continueButton(page).click()
  await reads(page.locator('[data-pw="field-error"]'), 'Please make no more than 5 selections.')
  await table.locator('input[aria-label="Select none"]').click()
  t.equal(await table.locator('[role="row"] input:checked').count(), 0)
  await table.locator('[aria-label="Next page"]').first().click()
  t.equal(await table.getByText('21 - 40 of 120', { exact: true }).count(), 2)
  await table.locator('input[placeholder="Filter"]').pressSequentially('person7@')
  await shown(table.locator('[data-pw-search="person7@"]'))
  t.equal(await rows.count(), 1)
  await rows.locator('[role="cell"]').nth(1).click()
  await table.locator('button[aria-label="Clear filter"]').click()
  t.equal(await rows.count(), 20)
  const header = table.locator('[role="columnheader"]', { hasText: 'id' }).first()
  t.equal(await header.textContent(), 'id')
  await header.click()
  await header.click()
  t.equal(await rows.first().locator('[role="cell"]').nth(1).textContent(), '120')
  await rows.first().locator('[role="cell"]').nth(2).click()
  t.equal(await table.locator('[role="row"] input:checked').count(), 1)
  t.same(await accessibilityProblems(page), [])
  await picture('find people')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'chosen2')
  await reads(page.getByText('You chose'), 'You chose 2: Ada Marsh, Radia Brook.')
  t.equal(await page.locator('.iv-table').count(), 2)
  await picture('find people result')
})

await stage.scenario(t, 'show_everything: displays need no button', async ({ t, page, picture }) => {
  await start(page, 'show_everything')
  t.equal(await resultOf(page), 'That is all.')
  await reads(page.locator('h2', { hasText: 'A heading' }), 'A heading')
  await shown(page.getByText('With a description'))
  await reads(page.locator('pre code'), 'const answer = 42')
  await reads(page.locator('h4'), 'Facts')
  await shown(page.locator('dt', { hasText: 'People' }))
  await shown(page.locator('dd').getByText('120', { exact: true }))
  await shown(page.locator('summary', { hasText: 'nested' }))
  await shown(page.locator('dt', { hasText: 'flag' }))
  t.equal(await page.locator('dd dd, dt dt').count(), 0)
  t.equal(await page.locator('.iv-table [role="row"]').count(), 10)
  t.equal(await page.locator('.iv-table').getByText('1 - 10 of 30', { exact: true }).count(), 2)
  t.equal(await continueButton(page).count(), 0)
  // Which level a heading has is the action's choice.
  t.same(await accessibilityProblems(page, ['heading-order']), [])
  await picture('show everything')
})

await stage.scenario(t, 'import_rows: progress, logs, left and resumed', async ({ t, page, picture }) => {
  await start(page, 'import_rows')
  await reads(page.locator('h2'), 'Import rows in the background')
  await page.getByLabel('How many rows?').fill('25')
  await continueButton(page).click()
  await reads(page.locator('[data-pw-label]'), 'Importing rows')
  await reads(page.getByText(/^Completed \d+ of 25$/), /Completed [1-9]/)
  await picture('import rows')
  await page.locator('.btn a', { hasText: 'Cancel' }).click()
  await isAt(page, home)
  const resume = page.getByText('Continue')
  await shown(resume)
  await picture('resumable')
  await resume.first().click()
  await isAt(page, /\/transactions\//)
  await shown(page.getByText(/^Completed \d+ of 25$/))
  t.equal(await page.locator('form').count(), 0, 'what was answered is not shown again')
  t.equal(await resultOf(page), 'imported25')
  await page.locator('[data-pw-tab-id="Logs"]').click()
  const lines = page.locator('[data-pw-transaction-logs] > div')
  await lines.nth(24).waitFor()
  t.same(
    await lines.allTextContents(),
    Array.from({ length: 25 }, (_, index) => `Row ${index + 1} of 25`),
  )
  t.same(await accessibilityProblems(page), [])
  await picture('import rows result')
  await page.goto(home)
  await shown(page.locator('[data-pw-actions-list]'))
  await gone(page.getByText('Continue'))
})

await stage.scenario(t, 'fail: says what the action threw', async ({ t, page, picture }) => {
  await start(page, 'fail')
  t.equal(await page.locator('input[type="checkbox"]').isChecked(), true)
  await continueButton(page).click()
  t.equal(await resultOf(page, 'Error'), 'RangeErrorThis action fails on purpose.')
  await picture('fail')
})

await stage.scenario(
  t,
  'people: a page with a table and an action inside it',
  async ({ t, page, picture }) => {
    await page.goto(home)
    await page.locator('[data-pw-action-group="people"]').first().click()
    await isAt(page, `${home}/actions/people`)
    await reads(page.locator('h2'), 'People')
    await shown(page.getByText('Everybody who has signed up.'))
    const rows = page.locator('.iv-table [role="row"]')
    await rows.first().waitFor()
    t.equal(await rows.count(), 20)
    t.equal(await continueButton(page).count(), 0)
    t.equal(
      await page.locator('a', { hasText: 'Sign somebody up' }).getAttribute('href'),
      `${home}/actions/sign_up`,
    )
    await picture('people')
    await page.locator('[data-pw-run-slug="people/deactivate"]').click()
    await isAt(page, `${home}/actions/people/deactivate`)
    await page.getByLabel('Person').pressSequentially('radia b')
    const found = page.locator('[data-pw-search-result]')
    await found.first().waitFor()
    t.match(await found.first().textContent(), /Radia Brook/)
    await picture('search')
    await found.first().click()
    await shown(page.locator('.iv-select__single-value[data-pw-selected-search-result]'))
    await continueButton(page).click()
    t.equal(await resultOf(page), 'Radia Brook is not active any more.')
    await page.locator('.btn a', { hasText: 'Go back' }).click()
    await isAt(page, `${home}/actions/people`)
  },
)

await stage.scenario(t, 'people: the node is killed while the page is open', async ({ t, page }) => {
  const lost = page.getByText('The connection to Interval was lost.')
  await page.goto(`${home}/actions/people`)
  await page.locator('.iv-table [role="row"]').first().waitFor()
  await stage.server.kill()
  await shown(lost)
  t.equal(await page.locator('.iv-table [role="row"]').count(), 20, 'what is on screen stays')
  await stage.server.run()
  await gone(lost)
  await reads(page.locator('h2'), 'People')
  t.equal(await page.locator('.iv-table [role="row"]').count(), 20)
  await page.locator('[data-pw-run-slug="people/deactivate"]').click()
  // The same host comes back in its own time (every 3 s); until then a start is refused, and can be tried again.
  await eventually(async () => {
    if (await page.getByText('No connected host serves this.').isVisible())
      await page.locator('button', { hasText: 'New transaction' }).click()
    await page.getByLabel('Person').waitFor({ timeout: 500 })
  }, 30_000)
})
