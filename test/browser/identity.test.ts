/**
 * An action that asks who is there: the question, right and wrong answers, when it is not asked, and that nothing but a
 * proof given to the server counts.
 */
import { randomUUID } from 'node:crypto'
import type { Page } from 'playwright-core'
import t from 'tap'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { codeAt } from '../support/one-time-codes.js'
import { sdkHost } from '../support/sdk-host.js'
import { accessibilityProblems, gone, isAt, resultOf, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t)
const seeded = await stage.seed()
const base = `/dashboard/${seeded.organization.slug}/develop/actions`

const host = sdkHost('2.0.0', {
  endpoint: stage.server.endpoint,
  apiKey: seeded.developmentKey,
  actions: {
    three: async io => ({
      one: await io.confirmIdentity('This is the first'),
      two: await io.confirmIdentity('This is the second'),
      three: await io.confirmIdentity('This is the third', { gracePeriodMs: 0 }),
    }),
    always: async io => await io.confirmIdentity('Pay it out', { gracePeriodMs: 0 }),
  },
})
t.teardown(() => host.close())
await host.listen()

const dialogOf = (page: Page) => page.locator('[data-iv-dialog]')

await stage.scenario(t, 'asked, confirmed, not asked again, asked again', async ({ t, page, picture }) => {
  await page.goto(`${base}/three`)
  const dialog = dialogOf(page)
  await shown(page.getByText('Please confirm your identity to continue'))
  await shown(page.getByText('first'))
  t.same(await accessibilityProblems(page), [])
  await picture('confirm identity')
  const password = dialog.locator('input[type="password"]')
  await password.fill('not it')
  await dialog.getByRole('button', { name: 'Verify' }).click()
  await shown(page.getByText('The password is wrong.'))
  t.same(await accessibilityProblems(page), [])
  await picture('confirm identity refused')
  await password.fill(seeded.password)
  await page.keyboard.press('Enter')
  await shown(page.getByText('third'))
  t.equal(await page.getByText('first').count(), 0)
  t.equal(await page.getByText('second').count(), 0)
  await password.fill(seeded.password)
  await dialog.getByRole('button', { name: 'Verify' }).click()
  t.equal(await resultOf(page), 'onetruetwotruethreetrue')
  await gone(dialog)
})

await stage.scenario(t, 'what is typed while a wrong password is looked at stays', async ({ t, page }) => {
  let letGo = () => {}
  const held = new Promise<void>(resolve => {
    letGo = resolve
  })
  await page.route('**/api/v1/session/identity', async route => {
    if (route.request().method() === 'POST') await held
    await route.continue()
  })
  await page.goto(`${base}/always`)
  const password = (await shown(dialogOf(page))).locator('input[type="password"]')
  await password.fill('not it')
  await page.keyboard.press('Enter')
  await password.fill(seeded.password)
  letGo()
  await shown(page.getByText('The password is wrong.'))
  t.equal(await password.inputValue(), seeded.password)
  await dialogOf(page).getByRole('button', { name: 'Verify' }).click()
  t.equal(await resultOf(page), 'true')
})

await stage.scenario(t, 'cancelled, with the button or the keyboard', async ({ t, page }) => {
  await page.goto(`${base}/always`)
  await dialogOf(page).getByRole('button', { name: 'Cancel' }).click()
  t.equal(await resultOf(page), 'false')
  await page.getByRole('button', { name: 'New transaction' }).click()
  await shown(dialogOf(page))
  await page.keyboard.press('Escape')
  t.equal(await resultOf(page), 'false')
})

await stage.scenario(t, 'on a phone, in the dark', async ({ page, picture }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.goto(`${base}/always`)
  await shown(dialogOf(page).locator('input'))
  await picture('confirm identity phone dark')
})

await stage.scenario(t, 'by a code, for who has a second factor', async ({ t, page, picture }) => {
  const { email } = seeded.user
  const { recoveryCodes, secret } = await stage.server.admin<{ recoveryCodes: string[]; secret: string }>(
    'enrollMfa',
    { email },
  )
  await page.goto(`${base}/always`)
  await isAt(page, '/verify-mfa')
  const used = codeAt(secret, Date.now())
  await page.locator('input[name="code"]').fill(used)
  await page.keyboard.press('Enter')
  await isAt(page, `${base}/always`)
  const dialog = dialogOf(page)
  const code = await shown(dialog.getByLabel('Authenticator code'))
  t.same(await accessibilityProblems(page), [])
  await picture('confirm identity by code')
  await code.fill(used)
  await page.keyboard.press('Enter')
  await shown(page.getByText('The code is wrong or was used before.'))
  await code.fill(codeAt(secret, Date.now(), 1))
  await page.keyboard.press('Enter')
  t.equal(await resultOf(page), 'true')
  await page.getByRole('button', { name: 'New transaction' }).click()
  await code.fill(recoveryCodes[0] ?? '')
  await page.keyboard.press('Enter')
  t.equal(await resultOf(page), 'true')
  await stage.server.admin('setUserMfa', { userId: seeded.user.id, mfaId: null })
})

t.test('a browser that only says so is refused, whatever it sends along', async t => {
  const cookie = await stage.server.signIn(seeded.user.email, seeded.password)
  const other = await stage.server.signIn(seeded.user.email, seeded.password)
  const browser = await BrowserClient.connect(stage.server.address, cookie)
  t.teardown(() => browser.close())
  const start = async () => {
    const transactionId = randomUUID()
    const place = { organization: seeded.organization.slug, environment: 'development' }
    await browser.ask('transaction.start', { ...place, transactionId, slug: 'always' })
    const { step } = await browser.event('transaction.render', event => event.transactionId === transactionId)
    const { id: renderId, inputGroupKey } = step.call
    const answer = (value: boolean, more: object = {}) =>
      browser.ask('transaction.answer', {
        transactionId,
        requestId: randomUUID(),
        inputGroupKey,
        renderId,
        kind: 'RETURN',
        values: [value],
        ...more,
      })
    const prove = (password: string, withCookie = cookie, step = `${transactionId}/${inputGroupKey}`) =>
      fetch(`${stage.server.address}/api/v1/session/identity`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: stage.server.address, cookie: withCookie },
        body: JSON.stringify({ password, step }),
      })
    return { answer, prove }
  }
  const first = await start()
  t.equal((await refusal(first.answer(true))).code, 'identity-unproven')
  const claim = { identity: { ageMs: 0, isForStep: true } }
  t.equal((await refusal(first.answer(true, claim))).code, 'identity-unproven')
  t.equal((await first.prove('wrong')).status, 401)
  t.equal((await refusal(first.answer(true))).code, 'identity-unproven', 'after a wrong password')
  t.equal((await first.prove(seeded.password, other)).status, 200)
  t.equal((await refusal(first.answer(true))).code, 'identity-unproven', 'proven in another session')
  const second = await start()
  t.equal((await second.prove(seeded.password)).status, 200)
  t.equal((await refusal(first.answer(true))).code, 'identity-unproven', 'proven for another step')
  t.equal((await first.prove(seeded.password)).status, 200)
  t.ok(await first.answer(true))
  t.ok(await second.answer(false), 'no is always taken')

  const guesses = await start()
  const statuses: number[] = []
  for (let count = 0; count < 12; count += 1) statuses.push((await guesses.prove('wrong', other)).status)
  t.ok(statuses.includes(429), 'guessing ends')
  t.equal((await guesses.prove('wrong', other)).status, 429)
})
