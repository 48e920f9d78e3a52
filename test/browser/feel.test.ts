/**
 * What people feel who use the keyboard or a screen reader, and what keeps a long screen in hand: titles, the way past
 * the navigation, landmarks, where the caret is after a refusal, dialogs that give it back, a panel that can be made
 * higher, and names of columns that stay in view.
 */
import type { Page } from 'playwright-core'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { ioStage, start } from './io-stage.js'
import { accessibilityProblems, gone, isAt, resultOf, shown } from './stage.js'

t.setTimeout(300_000)
const { stage, home, seeded } = await ioStage(t)

const titleIs = (page: Page, title: string) =>
  eventually(async () => {
    const now = await page.title()
    if (now !== title) throw new Error(`the title is ${now}, not ${title}`)
  })

/** What the caret is in, by what a screen reader calls it. */
const focused = (page: Page) =>
  page.evaluate<string>(
    `(document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '').trim()`,
  )

await stage.scenario(t, 'every screen has a title of its own', async ({ page }) => {
  const titles = {
    [home]: 'Actions',
    [`${home}/develop/actions`]: 'Console',
    [`${home}/transactions`]: 'History',
    [`${home}/cluster`]: 'Cluster',
    [`${home}/actions/shop`]: 'Shop',
    [`${home}/actions/text`]: 'text',
    [`${home}/actions/no_such`]: 'Not found',
    [`${home}/transactions/no`]: 'Not found',
    [`${home}/organization/users`]: 'Users',
    '/account/security': 'Security',
    '/nothing/here': 'Not found',
  }
  for (const [path, title] of Object.entries(titles)) {
    await page.goto(path)
    await titleIs(page, `${title} · Interval`)
  }
})

await stage.scenario(t, 'sign-in: its title, and the caret stays in the form', async scenario => {
  const { page, t } = scenario
  await page.context().clearCookies()
  await page.goto('/login')
  await titleIs(page, 'Sign in · Interval')
  await page.locator('input[name="email"]').fill(seeded.user.email)
  await page.keyboard.press('Enter')
  await page.locator('input[name="password"]').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).press('Enter')
  await shown(page.getByRole('alert'))
  t.equal(await focused(page), 'Sign in', 'the button kept it while the server was asked')
})

await stage.scenario(t, 'the first stop of the keyboard leads past the navigation', async ({ t, page }) => {
  await page.goto(home)
  await shown(page.locator('[data-pw-actions-list]'))
  await page.keyboard.press('Tab')
  t.equal(await focused(page), 'Skip to content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  t.ok(await page.evaluate(`document.querySelector('main').contains(document.activeElement)`))
})

await stage.scenario(t, 'one main landmark on each screen, also where nothing is', async ({ t, page }) => {
  for (const path of [
    '',
    '/actions/no_such',
    '/transactions/no',
    '/organization/no',
    '/organization/users',
  ]) {
    await page.goto(home + path)
    await shown(page.locator('main h2'))
    t.equal(await page.locator('main').count(), 1, path)
    t.same(await accessibilityProblems(page), [], path)
  }
  for (const path of ['/nothing/here', '/dashboard/nobody', '/account/nothing']) {
    await page.goto(path)
    await shown(page.getByRole('heading', { name: 'Not found' }))
    t.equal(await page.locator('main').count(), 1, path)
    t.same(await accessibilityProblems(page), [], path)
  }
})

await stage.scenario(t, 'a dialog gives the caret back; what was refused gets it', async ({ t, page }) => {
  await page.goto(`${home}/organization/environments`)
  const add = page.getByRole('button', { name: 'Add environment' })
  await add.focus()
  await page.keyboard.press('Enter')
  await shown(page.getByRole('dialog'))
  await page.keyboard.type('New')
  await page.getByLabel('Slug').fill('not a slug')
  await page.keyboard.press('Enter')
  await shown(page.locator('#input-slug-error'))
  t.equal(await page.evaluate('document.activeElement.name'), 'slug')
  await page.keyboard.press('Escape')
  await gone(page.getByRole('dialog'))
  t.equal(await focused(page), 'Add environment')
})

await stage.scenario(t, 'the panel of a run is made higher, and stays so', async ({ t, page, picture }) => {
  await start(page, home, 'redirect_nowhere')
  await resultOf(page, 'Redirected')
  t.equal(await page.getByRole('separator').count(), 0, 'nothing to move while it is shut')
  await page.locator('[data-pw-tab-id="Logs"]').click()
  const edge = page.getByRole('separator', { name: 'Height of the panel' })
  const panel = page.locator('#panel-Logs')
  const height = async () => (await panel.boundingBox())?.height ?? 0
  const first = await height()
  await edge.focus()
  await page.keyboard.press('ArrowUp')
  t.equal(await height(), first + 32)
  t.equal(await edge.getAttribute('aria-valuenow'), String(first + 32))
  await page.keyboard.press('End')
  t.equal(await height(), Math.floor(0.7 * 720), 'never the whole screen')
  await page.keyboard.press('Home')
  const least = await height()
  t.ok(least < first)
  await page.keyboard.press('ArrowDown')
  t.equal(await height(), least, 'never nothing')
  const box = await edge.boundingBox()
  if (!box) throw new Error('the edge is not there')
  await page.mouse.move(600, box.y + box.height / 2)
  await page.mouse.down()
  await page.mouse.move(600, box.y + box.height / 2 - 100, { steps: 5 })
  await page.mouse.up()
  await eventually(async () => {
    if ((await height()) !== least + 100) throw new Error(`${await height()} px, not ${least + 100}`)
  })
  await picture('panel made higher')
  t.same(await accessibilityProblems(page), [])
  await page.goto(`${home}/actions/notify`)
  await resultOf(page)
  await page.locator('[data-pw-tab-id="Logs"]').click()
  t.equal(await height(), least + 100, 'the window remembers')
  await edge.dblclick()
  t.equal(await height(), first)
  await page.locator('[data-pw-tab-id="Logs"]').focus()
  await page.keyboard.press('ArrowRight')
  t.equal(await focused(page), 'History')
  await page.keyboard.press('Enter')
  await shown(page.locator('#panel-History'))
})

await stage.scenario(
  t,
  'the names of columns stay in view, above what scrolls below',
  async ({ t, page }) => {
    await start(page, home, 'table_large')
    await shown(page.getByRole('cell', { name: 'Person 20', exact: true }))
    const top = async () => (await page.locator('thead').boundingBox())?.y
    await page.getByRole('cell', { name: 'Person 20', exact: true }).scrollIntoViewIfNeeded()
    await page.evaluate(
      `window.scrollTo(0, document.querySelector('tbody').getBoundingClientRect().top + scrollY + 200)`,
    )
    t.equal(await top(), 0)
    // What does not fit scrolls sideways, in a box of its own; its head stays where it was.
    await page.setViewportSize({ width: 390, height: 844 })
    await eventually(async () => {
      const gap = await page.evaluate<number>(
        `document.querySelector('tbody').getBoundingClientRect().top - document.querySelector('thead').getBoundingClientRect().bottom`,
      )
      if (Math.abs(gap) > 1) throw new Error(`the head is ${gap} px away from its rows`)
    })
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 390)
  },
)

await stage.scenario(t, 'sorting moves nothing; the menu of a row has entries alone', async ({ t, page }) => {
  await start(page, home, 'table')
  const table = page.locator('.iv-table').first()
  const widths = () =>
    page.evaluate<number[]>(
      `[...document.querySelector('.iv-table').querySelectorAll('th')].map(head => head.getBoundingClientRect().width)`,
    )
  const before = await widths()
  t.equal(before.length, 3)
  await table.getByRole('columnheader', { name: 'name' }).click()
  await shown(table.locator('th[aria-sort="ascending"]'))
  t.same(await widths(), before)
  await page.getByRole('button', { name: 'Open options' }).first().click()
  await shown(page.getByRole('menu'))
  t.equal(await page.getByRole('menuitem', { name: 'Never' }).isDisabled(), true)
  t.same(await accessibilityProblems(page, ['aria-roles', 'heading-order']), [])
})

await stage.scenario(t, 'a page that broke is opened again', async ({ t, page }) => {
  await page.goto(`${home}/actions/shop/broken`)
  await shown(page.getByText('The shelf fell down'))
  const again = page.getByRole('button', { name: 'Try again' })
  const before = await again.elementHandle()
  await again.click()
  await before?.waitForElementState('hidden')
  await shown(page.getByText('The shelf fell down'))
  await shown(again)
  t.equal(await again.count(), 1)
  await isAt(page, `${home}/actions/shop/broken`)
})

await stage.scenario(t, 'on a phone the section one is in is in view', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto('/account/organizations')
  const link = page.getByRole('link', { name: 'Organizations' })
  await shown(link)
  await eventually(async () => {
    const box = await link.boundingBox()
    if (!(box && box.x >= 0 && box.x + box.width <= 390)) throw new Error(`at ${box?.x}`)
  })
})
