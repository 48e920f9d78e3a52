/** Ways in for who is new: signing up, proving an address, invitations; with mails as a real server receives them. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { linkIn, MailServer } from '../support/mail-server.js'
import { looks } from './looks.js'
import { accessibilityProblems, isAt, reads, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const mails = await MailServer.start(t)
const stage = await Stage.open(t, {
  environment: { SMTP_URL: mails.url, EMAIL_FROM: 'Interval <interval@example.com>' },
})
const { server } = stage
const seeded = await server.seed()
await server.admin('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled: true })
const password = 'a long enough password'

const pathOf = (url: string) => url.slice(new URL(url).origin.length)

async function signUp(page: Page, email: string, organization: string): Promise<void> {
  await page.goto('/signup')
  await page.locator('input[name="email"]').fill(email)
  await page.locator('button[type="submit"]').click()
  await page.locator('input[name="firstName"]').fill('Nia')
  await page.locator('input[name="lastName"]').fill('Newman')
  await page.locator('input[name="password"]').fill(password)
  await page.locator('input[name="organizationName"]').fill(organization)
}

async function signIn(page: Page, email: string): Promise<void> {
  await page.locator('input[name="email"]').fill(email)
  await page.locator('button[type="submit"]').first().click()
  await page.locator('input[name="password"]').fill(password)
  await page.locator('button[type="submit"]').first().click()
}

const newcomer = { signedIn: false }

await stage.scenario(
  t,
  'a new account, and the proof of its address',
  async ({ t, page, picture }) => {
    await page.goto('/signup')
    await page.locator('input[name="email"]').fill(seeded.user.email)
    await page.locator('button[type="submit"]').click()
    await shown(page.getByText('already exists'))
    t.equal(await page.getByText('already exists').count(), 1)
    t.equal(await page.locator('input[name="firstName"]').count(), 0)
    t.same(await accessibilityProblems(page), [])

    await signUp(page, 'nia@example.com', 'New Works')
    await page.getByText('Have a promo code?').click()
    await page.locator('input[name="organizationPromoCode"]').fill('NOPE')
    await page.locator('button[type="submit"]').click()
    await shown(page.getByText('Invalid promo code'))
    t.equal(await page.locator('input[name="firstName"]').inputValue(), 'Nia', 'the form stays filled')
    await looks({ t, page, picture }, 'sign-up')
    await server.admin('upsertPromoCode', { code: 'YES', organizationId: seeded.organization.id })
    await page.locator('input[name="organizationPromoCode"]').fill('YES')
    await page.locator('button[type="submit"]').click()
    await isAt(page, '/dashboard/new-works/develop/actions')

    await shown(page.getByText('Connect your first host'))
    const banner = page.getByText('Confirm your email to create and deploy live actions')
    t.equal(await banner.count(), 0)
    await page.locator('[data-pw-nav-control-panel-toggle]').click()
    await shown(banner)
    t.same(await accessibilityProblems(page), [])
    await picture('account menu unconfirmed')
    await banner.click()
    await isAt(page, '/confirm-email')
    await shown(page.getByText('We sent a link to nia@example.com'))
    await looks({ t, page, picture }, 'confirm email')

    const link = linkIn(await mails.received('nia@example.com'))
    const latest = await server.admin<{ id: string; url: string }>('latestEmailConfirmation', {
      email: 'nia@example.com',
    })
    t.equal(link, latest.url)
    await server.admin('expireEmailConfirmation', { id: latest.id })
    await page.goto(pathOf(link))
    await shown(page.getByText('We sent a new link to your email address'))
    await looks({ t, page, picture }, 'confirm email expired')
    const renewed = linkIn(await mails.received('nia@example.com', 2))
    t.not(renewed, link)
    await page.goto(pathOf(renewed))
    await isAt(page, '/dashboard/new-works/develop/actions')
    await page.locator('[data-pw-nav-control-panel-toggle]').click()
    await shown(page.getByText('nia@example.com'))
    t.equal(await banner.count(), 0)
    await page.goto(`${pathOf(renewed).slice(0, -2)}xx`)
    await shown(page.getByText('This link does not work'))
  },
  newcomer,
)

await stage.scenario(
  t,
  'a link followed while signed out goes on after the sign-in',
  async ({ page }) => {
    await signUp(page, 'olga@example.com', 'Olga')
    await page.locator('button[type="submit"]').click()
    await isAt(page, '/dashboard/olga/develop/actions')
    const link = linkIn(await mails.received('olga@example.com'))
    await page.context().clearCookies()
    await page.goto(pathOf(link))
    await isAt(page, /^\/login\?from=/)
    await signIn(page, 'olga@example.com')
    await isAt(page, '/dashboard/olga/develop/actions')
    await page.locator('[data-pw-nav-control-panel-toggle]').click()
    await shown(page.getByText('Sign out'))
    if (await page.getByText('Confirm your email').count()) throw new Error('not confirmed')
  },
  newcomer,
)

const invite = async (email: string) =>
  (
    await server.admin<{ id: string }>('createInvitation', {
      organizationId: seeded.organization.id,
      email,
      permissions: ['DEVELOPER'],
      groupIds: [],
    })
  ).id

await stage.scenario(
  t,
  'an invitation makes an account that needs no further proof',
  async ({ t, page, picture }) => {
    const id = await invite('paul@example.com')
    await page.goto(`/signup?token=${id}`)
    await shown(page.getByText('inviting you to join'))
    t.equal(await page.getByText('inviting you to join').count(), 1)
    t.equal(await page.locator('input[value="paul@example.com"]:disabled').count(), 1)
    t.equal(await page.locator('input[name="organizationName"]').count(), 0)
    await looks({ t, page, picture }, 'invitation')
    await page.locator('input[name="firstName"]').fill('Paul')
    await page.locator('input[name="lastName"]').fill('Quay')
    await page.locator('input[name="password"]').fill('short')
    await page.locator('button[type="submit"]').click()
    await shown(page.locator('#input-password-error'))
    await page.locator('input[name="password"]').fill(password)
    await page.locator('button[type="submit"]').click()
    await isAt(page, /^\/dashboard\/test-runner/)
    await page.locator('[data-pw-nav-control-panel-toggle]').click()
    await shown(page.getByText('paul@example.com'))
    t.equal(await page.getByText('Confirm your email').count(), 0)
    const user = await server.admin<{ memberships: { permissions: string[] }[] }>('findUser', {
      email: 'paul@example.com',
    })
    t.match(user.memberships, [{ permissions: ['DEVELOPER'] }])
    await page.goto(`/signup?token=${id}`)
    await shown(page.getByText('This invitation does not work'))
    await looks({ t, page, picture }, 'invitation used')
  },
  newcomer,
)

await stage.scenario(
  t,
  'an invitation of somebody who has an account: signed out, as somebody else, declined, accepted',
  async ({ t, page, picture }) => {
    const first = await invite('olga@example.com')
    await page.goto(`/signup?token=${first}`)
    await shown(page.getByText('has an account already'))
    await looks({ t, page, picture }, 'invitation sign in first')
    await page.getByRole('link', { name: 'Sign in' }).click()
    await signIn(page, 'olga@example.com')
    await isAt(page, `/signup?token=${first}`)
    await reads(page.locator('h1'), 'Join Test Runner')
    await looks({ t, page, picture }, 'invitation choice')
    await page.getByRole('button', { name: 'Decline' }).click()
    await isAt(page, /^\/dashboard\/olga/)

    const others = await invite('nia@example.com')
    await page.goto(`/signup?token=${others}`)
    await shown(page.getByText('You are signed in as olga@example.com'))
    t.same(await accessibilityProblems(page), [])
    const second = await invite('olga@example.com')
    await page.goto('/account/organizations')
    await shown(page.getByRole('button', { name: 'Decline the invitation of Test Runner' }))
    await looks({ t, page, picture }, 'account organizations')
    await page.goto(`/signup?token=${second}`)
    await page.getByRole('button', { name: 'Join' }).click()
    await isAt(page, '/dashboard/test-runner')
    await reads(page.locator('#desktop-nav').locator('xpath=ancestor::aside').locator('h1'), 'Test Runner')
  },
  newcomer,
)
