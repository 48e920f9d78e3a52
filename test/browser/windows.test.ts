/**
 * One person, several windows and devices: a run is shown in one of them at a time and goes on there, whoever takes it
 * over and whoever leaves; several runs of one action keep to themselves; and a window that is closed in the middle of a
 * live action asks first, where the action wants that.
 */
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.js'
import { ioStage, start } from './io-stage.js'
import { continueButton, gone, reads, resultOf, shown } from './stage.js'

t.setTimeout(300_000)
const { stage, home, seeded } = await ioStage(t)
await stage.startHost(seeded.developmentKey, 'dist/test/support/io-host.js')

const elsewhere = 'This was opened in another window and goes on there.'

/** Answers the three questions of the action `text`, from where it stands. */
async function answer(page: Page, answers: readonly string[]): Promise<void> {
  for (const text of answers) {
    const waiting = page.locator('form input[type="text"]:not(:disabled), form textarea:not(:disabled)')
    await shown(waiting)
    await waiting.fill(text)
    await continueButton(page).click()
    await gone(page.locator('[data-pw="continue-button"]:not(:disabled)').filter({ hasNotText: 'Continue' }))
  }
}

async function addressOf(page: Page): Promise<string> {
  return `${home}/transactions/${await page.evaluate<string>('history.state.transactionId')}`
}

await stage.scenario(t, 'two runs of one action in two windows keep to themselves', async scenario => {
  const { t, page, another } = scenario
  const { page: second } = await another()
  await start(page, home, 'text')
  await start(second, home, 'text')
  await page.getByLabel('Plain').fill('first window')
  await second.getByLabel('Plain').fill('second window')
  await continueButton(second).click()
  await second.getByLabel('Bounded').fill('of the second')
  await continueButton(page).click()
  await page.getByLabel('Bounded').fill('of the first')
  for (const window of [page, second]) await continueButton(window).click()
  for (const window of [second, page]) {
    await shown(window.getByLabel('Lines'))
    await continueButton(window).click()
  }
  t.match(await resultOf(page), '["first window","of the first","first\\nsecond"]')
  t.match(await resultOf(second), '["second window","of the second","first\\nsecond"]')
})

await stage.scenario(t, 'another device takes a run over, and it ends there', async ({ t, page }) => {
  await start(page, home, 'text')
  await page.getByLabel('Plain').fill('on the desk')
  await continueButton(page).click()
  await page.getByLabel('Bounded').fill('typed, not sent')
  const phone = await stage.openWindow()
  await phone.page.setViewportSize({ width: 390, height: 844 })
  await phone.page.goto(await addressOf(page))
  await shown(phone.page.getByLabel('Bounded'))
  t.equal(await phone.page.getByLabel('Plain').count(), 0, 'what was answered is not asked again')
  t.equal(await phone.page.getByLabel('Bounded').inputValue(), '', 'what was typed stayed on the desk')
  await shown(page.getByText(elsewhere))
  t.equal(await page.getByLabel('Bounded').isDisabled(), true)
  t.equal(await continueButton(page).count(), 0)
  await answer(phone.page, ['on the phone', 'lines'])
  t.match(await resultOf(phone.page), '["on the desk","on the phone","lines"]')
  // The desk hears of the end, too, when it asks.
  await page.getByRole('button', { name: 'Go on here' }).click()
  t.match(await resultOf(page), '["on the desk","on the phone","lines"]')
  t.same(phone.complaints, [])
  await phone.context.close()
})

await stage.scenario(
  t,
  'a window that a run has left may go: the run goes on in the other',
  async scenario => {
    const { t, page, another } = scenario
    await start(page, home, 'text')
    const { page: second } = await another()
    await second.goto(await addressOf(page))
    await shown(second.getByLabel('Plain'))
    await shown(page.getByText(elsewhere))
    await page.locator('.btn a', { hasText: 'Cancel' }).click()
    await shown(page.locator('[data-pw-actions-list]'))
    await answer(second, ['still here', 'and goes on', 'lines'])
    t.match(await resultOf(second), '["still here","and goes on","lines"]')
  },
)

await stage.scenario(t, 'of three windows that take over from each other, one has it', async scenario => {
  const { t, page, another } = scenario
  await start(page, home, 'text')
  const address = await addressOf(page)
  const { page: second } = await another()
  const { page: third } = await another()
  await Promise.all([second.goto(address), third.goto(address)])
  const pages = [page, second, third]
  const goOn = (window: Page) => window.getByRole('button', { name: 'Go on here' })
  /** Waits until all have heard who has it: this one where one is named, and nobody else. */
  const isWith = (owner?: Page) =>
    eventually(async () => {
      const offers = await Promise.all(pages.map(window => goOn(window).count()))
      const owners = pages.filter((_window, at) => offers[at] === 0)
      if (owners.length !== 1 || (owner !== undefined && owners[0] !== owner))
        throw new Error(`it is offered ${offers.join(', ')} times`)
    })
  await shown(page.getByText(elsewhere))
  await isWith()
  for (let round = 0; round < 3; round++) {
    for (const window of pages) {
      if ((await goOn(window).count()) > 0) await goOn(window).click()
      await isWith(window)
    }
  }
  await shown(page.getByText(elsewhere))
  await shown(second.getByText(elsewhere))
  await gone(third.getByText(elsewhere))
  await answer(third, ['the third', 'has it all', 'lines'])
  t.match(await resultOf(third), '["the third","has it all","lines"]')
})

await stage.scenario(t, 'somebody else does not take a run over', async ({ t, page }) => {
  const other = await stage.server.admin<{ id: string; email: string }>('createUser', {
    email: 'other@example.com',
    password: seeded.password,
    membership: { organizationId: seeded.organization.id, permissions: ['ACTION_RUNNER'] },
  })
  await start(page, home, 'text')
  const theirs = await stage.openWindow({ signedIn: false })
  const cookie = await stage.server.signIn(other.email, seeded.password)
  const [name = '', value = ''] = cookie.split(/=(.*)/s)
  await theirs.context.addCookies([{ name, value, url: stage.server.address }])
  await theirs.page.goto(await addressOf(page))
  await shown(theirs.page.getByText('Not found'))
  await shown(page.getByLabel('Plain'))
  t.equal(await page.getByText(elsewhere).count(), 0)
  await answer(page, ['mine', 'all along', 'lines'])
  t.match(await resultOf(page), '["mine","all along","lines"]')
  await theirs.context.close()
})

/** Closes a window as a person does; resolves to whether it asked, and lets it go or not. */
async function close(t: Test, page: Page, leaves: boolean): Promise<boolean> {
  let hasAsked = false
  const asked = new Promise<void>(resolve => {
    page.once('dialog', dialog => {
      hasAsked = dialog.type() === 'beforeunload'
      void (leaves ? dialog.accept() : dialog.dismiss()).then(resolve)
    })
  })
  const closed = page.isClosed()
    ? Promise.resolve()
    : new Promise<void>(done => page.once('close', () => done()))
  await page.close({ runBeforeUnload: true })
  await (leaves ? closed : Promise.race([asked, closed]))
  t.equal(page.isClosed(), leaves || !hasAsked, 'it is gone when it should be')
  return hasAsked
}

await stage.scenario(t, 'closing a window in the middle of a live action asks', async ({ t, page }) => {
  await start(page, home, 'text')
  await page.getByLabel('Plain').fill('x')
  t.equal(await close(t, page, false), true, 'it asks')
  t.equal(await page.getByLabel('Plain').inputValue(), 'x', 'who stays goes on')
  await answer(page, ['stayed', 'and went on'])
  await shown(page.getByLabel('Lines'))
  t.equal(await close(t, page, true), true, 'and again; who leaves leaves')
})

for (const [what, slug, path] of [
  ['an action that does not want it', 'text_unguarded', home],
  ['the console', 'text', `${home}/develop`],
] as const) {
  await stage.scenario(t, `closing a window does not ask: ${what}`, async ({ t, another }) => {
    const { page } = await another()
    await start(page, path, slug)
    await page.getByLabel('Plain').fill('x')
    t.equal(await close(t, page, true), false)
  })
}

await stage.scenario(t, 'closing a window does not ask: the run is over, or elsewhere', async scenario => {
  const { t, another } = scenario
  const { page: first } = await another()
  await start(first, home, 'text')
  await first.getByLabel('Plain').fill('x')
  const { page: second } = await another()
  await second.goto(await addressOf(first))
  await shown(first.getByText(elsewhere))
  t.equal(await close(t, first, true), false, 'it goes on in the other window')
  await answer(second, ['a', 'bbbbb', 'c'])
  await reads(second.locator('[data-test-id="result-type"]'), 'Completed')
  t.equal(await close(t, second, true), false, 'it is over')
})
