/** Running: groups, choices, confirmation, progress, logs, notifications, redirects, results, errors, restart, pages. */
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { ioStage, start } from './io-stage.js'
import {
  accessibilityProblems,
  continueButton,
  gone,
  isAt,
  noting,
  reads,
  resultOf,
  shown,
  startAnew,
} from './stage.js'

t.setTimeout(300_000)
const { stage, home, seeded } = await ioStage(t)

await stage.scenario(t, 'a group: the host judges a field, then the whole', async ({ t, page, picture }) => {
  await start(page, home, 'group_checked')
  const button = continueButton(page)
  await reads(button, 'Send it')
  t.match(await button.getAttribute('class'), /bg-red-500/)
  await page.getByText('Name', { exact: true }).first().click()
  await page.keyboard.type('Bob')
  await button.click()
  await reads(page.locator('[data-pw="field-error"]'), 'Not Bob.')
  await page.getByLabel('Name').fill('Ada')
  await gone(page.locator('[data-pw="field-error"]'))
  await button.click()
  await reads(page.locator('[data-pw="form-error"]'), 'Ada has years.')
  await reads(page.locator('[data-pw="form-error"] [data-pw="field-error"]'), 'Ada has years.')
  await picture('io group error')
  await page.getByLabel('Years').fill('36')
  await page.getByLabel('Years').press('Meta+Enter')
  t.equal(await resultOf(page), JSON.stringify({ name: 'Ada', years: 36 }))
})

await stage.scenario(t, 'beside a form, nothing but the form has words to be found', async ({ t, page }) => {
  await page.goto(home)
  await shown(page.locator('#desktop-nav li', { hasText: 'Shop' }))
  await page.locator('[data-pw-run-slug="group_checked"]').click()
  await shown(page.getByLabel('Name'))
  // Drawn and read out, but no text: a group may be called as the field is.
  for (const words of ['Shop', 'Skip'])
    await eventually(async () => {
      if ((await page.getByText(words).count()) > 0) throw new Error(`${words} is text`)
    })
  const group = page.getByRole('link', { name: 'Shop', exact: true })
  const drawn = `getComputedStyle(document.querySelector('#desktop-nav a[href$="/shop"] [data-words]'), '::before').content`
  t.equal(await page.evaluate(drawn), '"Shop"')
  t.same(await accessibilityProblems(page), [])
  await group.click()
  await reads(page.locator('#desktop-nav li', { hasText: 'Shop' }), 'Shop')
})

await stage.scenario(t, 'one call at a time, where an organization wants that', async ({ t, page }) => {
  const flag = (enabled: boolean) =>
    stage.server.admin('setOrganizationFlag', {
      organizationId: seeded.organization.id,
      flag: 'TRANSACTION_LEGACY_NO_APPEND_UI',
      enabled,
    })
  await flag(true)
  await start(page, home, 'metadata')
  await shown(page.getByText('As grid', { exact: true }))
  await continueButton(page).click()
  await shown(page.getByText('As list', { exact: true }))
  t.equal(await page.getByText('As grid', { exact: true }).count(), 0, 'what was before is gone')
  await continueButton(page).click()
  await shown(page.getByText('As card', { exact: true }))
  await continueButton(page).click()
  await resultOf(page)
  await flag(false)
  await start(page, home, 'metadata')
  await shown(page.getByText('As card', { exact: true }))
  await shown(page.getByText('As grid', { exact: true }))
})

await stage.scenario(
  t,
  'choices: their labels, values and themes; they validate too',
  async ({ t, page }) => {
    await start(page, home, 'choices')
    t.equal(await continueButton(page).count(), 2)
    await page.getByRole('button', { name: 'Remove' }).click({ position: { x: 3, y: 3 } })
    await reads(page.locator('[data-pw="field-error"]'), 'This field is required.')
    t.match(await page.getByRole('button', { name: 'Remove' }).getAttribute('class'), /bg-red-500/)
    await page.getByLabel('Name').fill('Ada')
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('button', { name: 'No', exact: true }).click()
    t.equal(await resultOf(page), JSON.stringify({ choice: 'remove', name: 'Ada', after: 'No' }))
  },
)

await stage.scenario(t, 'confirm: in line, one at a time', async ({ t, page }) => {
  await start(page, home, 'confirm')
  const asked = await shown(page.locator('[data-io-confirm]'))
  await shown(page.getByText('Really remove it?'))
  await shown(page.getByText('It is gone then.'))
  await asked.getByRole('button', { name: 'Confirm' }).click()
  await shown(page.getByText('And the copy?'))
  t.equal(await page.locator('[data-io-confirm]').count(), 1)
  t.equal(await page.locator('button', { hasText: 'Confirm' }).count(), 1)
  await page.locator('[data-io-confirm]').getByRole('button', { name: 'Cancel' }).click()
  t.equal(await resultOf(page), JSON.stringify([true, false]))
  t.equal(await page.locator('[data-io-confirm]').count(), 0)
})

await stage.scenario(t, 'waiting, progress step by step, logs', async ({ t, page, picture }) => {
  await page.goto(`${home}/actions/wait`)
  await shown(page.getByText('Waiting to hear from action...'))
  await page.getByLabel('After a while').fill('x')
  await continueButton(page).click()
  await resultOf(page)
  const label = await noting(page, '[data-pw-label]')
  const description = await noting(page, '[data-pw-description]')
  const words = await noting(page, '[role="status"] p')
  await start(page, home, 'progress')
  await label('Working')
  await description('On it')
  for (const count of [0, 1, 2, 3]) await words(`Completed ${count} of 3`)
  await eventually(async () => {
    if ((await page.locator('[data-pw-label], [data-pw-description]').count()) > 0)
      throw new Error('still there')
  })
  t.equal(await resultOf(page), 'finished')
  const panel = page.locator('[data-pw-control-panel]')
  t.equal(await panel.getAttribute('data-pw-expanded'), 'false')
  await page.locator('[data-pw-tab-id="Logs"]').click()
  t.equal(await panel.getAttribute('data-pw-expanded'), 'true')
  t.same(await page.locator('[data-pw-transaction-logs] > div').allTextContents(), [
    'Item 0 done',
    'Item 1 done',
    'Item 2 done',
  ])
  await picture('io logs')
  t.same(await accessibilityProblems(page), [])
})

await stage.scenario(
  t,
  'results: kinds of values, nothing, errors with their cause',
  async ({ t, page, picture }) => {
    await start(page, home, 'result')
    t.equal(
      (await resultOf(page)).replace(/[\u202f\u00a0]/g, ' '),
      'wordstextnumber1,337fraction12.345yestruenonewhenJul 20, 2022, 1:05 PMisoJul 20, 2022, 1:05 PM' +
        'sitehttps://example.commailada@example.comnesteda0112',
    )
    await picture('io result')
    await start(page, home, 'scalar')
    t.equal(await resultOf(page), '5n')
    await start(page, home, 'fail')
    const text = await resultOf(page, 'Error')
    for (const part of ['RangeError', 'Out of reach', 'The arm is too short']) t.match(text, part)
    await picture('io error')
  },
)

await stage.scenario(t, 'restart, leave, first error in view', async ({ t, page }) => {
  await start(page, home, 'long')
  await continueButton(page).click()
  const wrong = page.getByLabel('Row 20')
  await eventually(async () => {
    const box = await wrong.boundingBox()
    if (!box || box.y < 0 || box.y > 640) throw new Error('out of view')
  })
  t.equal(await page.locator(':focus').getAttribute('id'), await wrong.getAttribute('id'))
  await startAnew(page)
  t.equal(await page.getByLabel('Row 20').inputValue(), '')
  t.equal(await page.locator('[data-pw="field-error"]').count(), 0)
  t.equal(await continueButton(page).count(), 1)
  t.equal(await page.getByLabel('Row 0', { exact: true }).inputValue(), 'x')
  await page.locator('.btn a', { hasText: 'Cancel' }).click()
  await isAt(page, home)
})

await stage.scenario(
  t,
  'redirects: to an action with parameters, replacing, away, nowhere',
  async ({ t, page }) => {
    await page.goto(home)
    await page.locator('[data-pw-run-slug="redirect_action"]').click()
    await page.getByLabel('Go where').fill('there')
    await continueButton(page).click()
    await isAt(page, `${home}/actions/text?from=redirect`)
    await page.getByLabel('Plain').waitFor()
    t.equal(await page.locator('input[type="text"]').count(), 1)
    await page.goto(home)
    await page.locator('[data-pw-run-slug="redirect_replace"]').click()
    await isAt(page, `${home}/actions/text`)
    await page.goBack()
    await isAt(page, home)
    await page.goto(
      `${home}/actions/redirect_away?to=${encodeURIComponent(`${stage.server.address}/health/live`)}`,
      // It may lead away before all of the page is loaded.
      { waitUntil: 'commit' },
    )
    await isAt(page, '/health/live')
    await page.goto(`${home}/actions/redirect_nowhere`)
    await page.locator('[data-pw-transaction-logs] > div').waitFor({ state: 'attached' })
    await page.locator('[data-pw-tab-id="Logs"]').click()
    await reads(
      page.locator('[data-pw-transaction-logs] > div'),
      'See https://example.com/a?b=1, and <b>not bold</b>.',
    )
    t.equal(
      await page.locator('[data-pw-transaction-logs] a').getAttribute('href'),
      'https://example.com/a?b=1',
    )
    t.equal(await page.evaluate('window.broken'), undefined)
  },
)

await stage.scenario(
  t,
  'a page: layout, links, sub-actions, late words, errors',
  async ({ t, page, picture }) => {
    await page.goto(home)
    await page.locator('[data-pw-action-group="shop"]').first().click()
    await reads(page.locator('h2'), 'The shop')
    await shown(page.getByText('What is in it.'))
    t.equal(
      await page.locator('a', { hasText: 'Add a thing' }).getAttribute('href'),
      `${home}/actions/text?thing=new`,
    )
    t.equal(await page.locator('a', { hasText: 'Website' }).getAttribute('href'), 'https://example.com')
    await reads(page.locator('dd'), '3')
    await page.locator('[role="row"]').nth(19).waitFor()
    await page.locator('.iv-table [role="columnheader"]').first().click()
    await page.locator('.iv-table [role="columnheader"]').first().click()
    await reads(page.locator('[role="row"]').first().locator('[role="cell"]').first(), '10000')
    t.equal(await page.locator('[role="grid-cell"]').count(), 3)
    t.equal(await continueButton(page).count(), 0)
    t.equal(await page.locator('[data-pw-run-slug="shop/buy"]').count(), 1)
    t.equal(await page.locator('[data-pw-run-slug="shop/hidden"]').count(), 0)
    await picture('io page')
    t.same(await accessibilityProblems(page, ['aria-roles', 'heading-order']), [])
    await page.goto(`${home}/actions/shop/later`)
    await reads(page.locator('h2'), 'Late title')
    await shown(page.getByText('Late words'))
    await page.goto(`${home}/actions/shop/broken`)
    await shown(page.getByText('The shelf fell down'))
    await page.goto(`${home}/actions/shop/nameless`)
    await shown(page.getByText('The sign fell down'))
    await shown(page.getByText('So did the words'))
    await reads(page.locator('h2'), 'Nameless')
    t.equal(
      await page.locator('header .animate-pulse').count(),
      0,
      'what could not be made is not waited for',
    )
    await page.goto(`${home}/actions/shop/away`)
    await isAt(page, `${home}/actions/text`)
  },
)

await stage.scenario(
  t,
  'pages inside of pages, with and without a layout, listed and not',
  async ({ t, page }) => {
    const links = (slug: string) => page.locator(`main a[href="${home}/actions/${slug}"]`)
    const open = async (slug: string, title: string) => {
      await page.goto(`${home}/actions/${slug}`)
      await reads(page.locator('h2'), title)
    }
    await open('tree', 'Tree')
    await links('tree/leaf').nth(1).waitFor()
    for (const slug of ['tree/leaf', 'tree/named', 'tree/branch'])
      t.equal(await links(slug).count(), 2, 'a page without a layout lists what is inside and leads there')
    for (const slug of ['tree/hidden', 'tree/under']) t.equal(await links(slug).count(), 0, 'unlisted')
    await reads(links('tree/leaf').first(), 'leaf')
    await links('tree/branch').first().click()
    t.equal(
      await page.evaluate('location.pathname'),
      `${home}/actions/tree/branch`,
      'the address changes within the click',
    )
    await shown(page.locator('[data-pw-run-slug="tree/branch/twig"]'))
    t.equal(await page.locator('[data-pw-run-slug="tree/branch/twig"]').count(), 1, 'without a handler once')
    await page.locator('[data-pw-run-slug="tree/branch/twig"]').click()
    t.equal(await resultOf(page), '{}')
    await page.locator('.btn a', { hasText: 'Go back' }).click()
    await isAt(page, `${home}/actions/tree/branch`)
    await page.goto(`${home}/actions/tree/hidden`)
    t.equal(await resultOf(page), 'found all the same')
    await open('tree/under', 'Under the leaves')
    await shown(page.locator('[data-pw-run-slug="tree/under/seed"]'))
  },
)

await stage.scenario(t, 'parameters in an address reach the action, every time', async ({ t, page }) => {
  await page.goto(`${home}/actions/params?name=Ada%20Q&mark=%26&n=1`)
  const given = JSON.stringify({ name: 'Ada Q', mark: '&', n: '1' })
  t.equal(await resultOf(page), given)
  await startAnew(page)
  await isAt(page, /\?name=Ada%20Q&mark=%26&n=1$/)
  t.equal(await resultOf(page), given)
  await page.goto(`${home}/actions/params?other=yes`)
  t.equal(await resultOf(page), JSON.stringify({ other: 'yes' }))
})

await stage.scenario(t, 'the console shows notifications and delivers none', async ({ t, page }) => {
  await stage.startHost(seeded.developmentKey, 'dist/test/support/io-host.js')
  await page.goto(`${home}/develop/actions`)
  await page.locator('[data-pw-run-slug="notify"]').click()
  t.equal(await resultOf(page), 'told')
  await page.locator('[data-pw-tab-id="Notifications"]').click()
  const panel = page.locator('[data-pw-control-panel]')
  await shown(panel.getByText('Hello: from the host'))
  await shown(panel.getByText('Would have sent to a@example.com via EMAIL'))
  await shown(panel.locator('text="untitled"'))
  await shown(panel.locator('text="Would have sent to b@example.com"'))
})
