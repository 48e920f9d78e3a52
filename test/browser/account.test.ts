/** A person's own account: profile, address, password, sessions, a forgotten password. */
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { linkIn } from '../support/mail-server.js'
import { looks } from './looks.js'
import { pathOf, peopleStage } from './people.js'
import { gone, isAt, reads, shown } from './stage.js'

t.setTimeout(300_000)
const { mails, person, seeded, signIn, stage } = await peopleStage(t)
const { server } = stage
const { email } = seeded.user

await stage.scenario(t, 'profile and another address', async scenario => {
  const { t, page } = scenario
  await page.goto(`/dashboard/${seeded.organization.slug}`)
  await page.locator('[data-pw-nav-control-panel-toggle]').click()
  await page.getByText('Your account').click()
  await isAt(page, '/account')
  await reads(page.locator('h2'), 'Profile')
  const zone = page.getByLabel('Time zone')
  t.equal(await zone.inputValue(), await page.evaluate('Intl.DateTimeFormat().resolvedOptions().timeZone'))
  await page.getByLabel('First name').fill('Tess')
  await zone.selectOption('Asia/Tokyo')
  await page.getByLabel('Notifications reach you by').selectOption('SLACK')
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(page.getByText('Saved.'))
  await page.reload()
  t.equal(await page.getByLabel('First name').inputValue(), 'Tess')
  t.equal(await zone.inputValue(), 'Asia/Tokyo')

  await page.getByRole('button', { name: 'Change the address' }).click()
  await page.getByLabel('New address').fill('tess@example.com')
  await page.getByLabel('Your password').fill('wrong')
  await page.keyboard.press('Enter')
  await reads(page.locator('#input-email-proof-error'), 'The password is wrong.')
  await looks(scenario, 'account profile')
  await page.getByLabel('Your password').fill(seeded.password)
  await page.getByRole('button', { name: 'Change the address' }).click()
  await shown(page.getByText('We sent a link to tess@example.com'))
  await page.getByRole('button', { name: 'Keep the present one' }).click()
  await gone(page.getByText('We sent a link'))
  const cancelled = linkIn(await mails.received('tess@example.com'))
  await page.goto(pathOf(cancelled))
  await shown(page.getByText('This link does not work'))

  await page.goto('/account')
  await page.getByRole('button', { name: 'Change the address' }).click()
  await page.getByLabel('New address').fill('tess@example.com')
  await page.getByLabel('Your password').fill(seeded.password)
  await page.getByRole('button', { name: 'Change the address' }).click()
  await shown(page.getByText('We sent a link to tess@example.com'))
  await page.goto(pathOf(linkIn(await mails.received('tess@example.com', 2))))
  await isAt(page, `/dashboard/${seeded.organization.slug}/develop/actions`)
  await page.goto('/account')
  await shown(page.getByText('tess@example.com'))
  t.match((await mails.received(email)).text, /tess@example\.com/)
})

await stage.scenario(
  t,
  'another password ends the other sessions; sessions are ended one by one',
  async scenario => {
    const { t, page } = scenario
    await person('vic', { createOrganization: true })
    const other = await server.signIn('vic@example.com', seeded.password)
    await signIn(page, 'vic@example.com')
    await isAt(page, /^\/dashboard/)
    await page.goto('/account/sessions')
    const rows = page.locator('main li')
    await eventually(async () => {
      if ((await rows.count()) !== 2) throw new Error('not both are there')
    })
    await shown(page.getByText('This browser'))
    await looks(scenario, 'account sessions')
    await rows.filter({ hasNotText: 'This browser' }).getByRole('button').click()
    await page.getByRole('button', { name: 'End it' }).click()
    await eventually(async () => {
      if ((await rows.count()) !== 1) throw new Error('still there')
    })
    const asked = await fetch(`${server.address}/api/v1/session`, { headers: { cookie: other } })
    t.equal(asked.status, 401)

    const third = await server.signIn('vic@example.com', seeded.password)
    await page.goto('/account/security')
    await page.getByLabel('Current password').fill('wrong')
    await page.getByLabel('New password').fill('another good password')
    await page.getByRole('button', { name: 'Change the password' }).click()
    await reads(page.locator('#input-current-password-error'), 'The current password is wrong.')
    await page.getByLabel('Current password').fill(seeded.password)
    await page.getByLabel('New password').fill('password1')
    await page.getByRole('button', { name: 'Change the password' }).click()
    await shown(page.locator('#input-new-password-error'))
    await looks(scenario, 'account security')
    await page.getByLabel('New password').fill('another good password')
    await page.getByRole('button', { name: 'Change the password' }).click()
    await shown(page.getByText('Changed. All other sessions have ended.'))
    const after = await fetch(`${server.address}/api/v1/session`, { headers: { cookie: third } })
    t.equal(after.status, 401)
    await page.reload()
    await reads(page.locator('h2'), 'Security')
  },
  { signedIn: false },
)

await stage.scenario(
  t,
  'a forgotten password',
  async scenario => {
    const { t, page } = scenario
    await person('yan', { createOrganization: true })
    await page.goto('/login')
    await page.getByText('Forgot your password?').click()
    await isAt(page, '/forgot-password')
    await reads(page.locator('h1'), 'Choose a new password')
    await looks(scenario, 'forgot password')
    const wordsFor = async (address: string) => {
      await page.locator('input[name="email"]').fill(address)
      await page.keyboard.press('Enter')
      await reads(page.locator('h1'), 'Look into your mail')
      const words = (await page.locator('main').textContent()) ?? ''
      await page.getByRole('button', { name: 'Ask again' }).click()
      return words.replace(address, 'ADDRESS')
    }
    t.equal(await wordsFor('nobody@example.com'), await wordsFor('yan@example.com'))
    const link = linkIn(await mails.received('yan@example.com'))
    await page.goto(pathOf(link))
    await page.locator('input[name="password"]').fill('short')
    await page.keyboard.press('Enter')
    await shown(page.locator('#input-password-error'))
    await looks(scenario, 'reset password')
    await page.locator('input[name="password"]').fill('a fresh password')
    await page.keyboard.press('Enter')
    await reads(page.locator('h1'), 'Your password is changed')
    await page.getByRole('link', { name: 'Sign in' }).click()
    await signIn(page, 'yan@example.com', 'a fresh password')
    await isAt(page, /^\/dashboard\/yan/)
    await page.goto(pathOf(link))
    await reads(page.locator('h1'), 'This link does not work')
    t.equal(mails.mails.filter(({ to }) => to.includes('nobody@example.com')).length, 0)
  },
  { signedIn: false },
)
