/**
 * A second factor: an organization that asks for one, setting it up, signing in with it, switching it off. And leaving an
 * organization, which asks for none.
 */
import t from 'tap'
import { codeAt } from '../support/one-time-codes.js'
import { looks } from './looks.js'
import { peopleStage } from './people.js'
import { isAt, reads, shown } from './stage.js'

t.setTimeout(300_000)
const { member, person, seeded, signIn, stage } = await peopleStage(t)
const { server } = stage

await stage.scenario(
  t,
  'an organization that asks for a second factor; setting one up, signing in with it, switching it off',
  async scenario => {
    const { t, page, another } = scenario
    await person('wim', member(['ADMIN']))
    await signIn(page, 'wim@example.com')
    await isAt(page, `/dashboard/${seeded.organization.slug}`)
    const required = await page.evaluate<number>(
      `fetch('/api/v1/organizations/${seeded.organization.slug}/settings', {method: 'PATCH',
         headers: {'content-type': 'application/json'}, body: '{"requireSecondFactor":true}'}).then(r => r.status)`,
    )
    t.equal(required, 200)
    await page.goto(`/dashboard/${seeded.organization.slug}/actions/anything`)
    await reads(page.locator('h1'), /asks for a second factor/)
    const refused = await page.evaluate<{ code: string }>(
      `fetch('/api/v1/organizations/${seeded.organization.slug}/keys').then(r => r.json())`,
    )
    t.equal(refused.code, 'second-factor-required')
    await looks(scenario, 'second factor needed')
    await page.getByLabel('Your password').fill(seeded.password)
    await page.keyboard.press('Enter')
    await shown(page.getByAltText('QR code for your authenticator app'))
    await looks(scenario, 'second factor secret')
    const secret = (await page.locator('[data-secret]').getAttribute('data-secret')) ?? ''
    const code = page.getByLabel('Code that the app shows now')
    await code.fill('000000')
    await page.keyboard.press('Enter')
    await shown(page.locator('#input-code-error'))
    await code.fill(codeAt(secret, Date.now()))
    await page.keyboard.press('Enter')
    const codes = page.getByRole('list', { name: 'Recovery codes' }).locator('li')
    await shown(codes.first())
    t.equal(await codes.count(), 10)
    const [first = '', second = ''] = await codes.allTextContents()
    await looks(scenario, 'recovery codes')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download' }).click(),
    ])
    t.equal(download.suggestedFilename(), 'recovery-codes.txt')
    await page.getByRole('button', { name: 'I have kept them' }).click()
    await shown(page.locator('aside [data-pw-nav-control-panel-toggle]'))

    t.comment('signing in takes a code now')
    const { page: window } = await another()
    await window.context().clearCookies()
    await signIn(window, 'wim@example.com')
    await isAt(window, '/verify-mfa')
    await window.goto(`/dashboard/${seeded.organization.slug}`)
    await isAt(window, '/verify-mfa')
    const entry = window.locator('input[inputmode="numeric"]')
    await entry.fill(codeAt(secret, Date.now(), 1))
    await window.keyboard.press('Enter')
    await isAt(window, `/dashboard/${seeded.organization.slug}`)

    await window.goto('/account/security')
    await shown(window.getByText('10 recovery codes are left.'))
    await window.getByRole('button', { name: 'New recovery codes' }).click()
    await window.getByLabel('Your password').fill(seeded.password)
    await window.getByRole('button', { name: 'Make new codes' }).click()
    await reads(window.locator('h3').last(), 'New recovery codes')
    await window.getByRole('button', { name: 'I have kept them' }).click()
    await window.getByRole('button', { name: 'Switch it off' }).click()
    const dialog = window.locator('[role="dialog"]')
    await dialog.getByLabel('Your password').fill('wrong')
    await dialog.getByRole('button', { name: 'Switch it off' }).click()
    await shown(dialog.getByText('The password is wrong.'))
    await dialog.getByLabel('Your password').fill(seeded.password)
    await dialog.getByRole('button', { name: 'Switch it off' }).click()
    await shown(window.getByRole('button', { name: 'Set up a second factor' }))
    await window.goto(`/dashboard/${seeded.organization.slug}`)
    await reads(window.locator('h1'), /asks for a second factor/)
    t.not(first, second)
  },
  { signedIn: false },
)

await stage.scenario(
  t,
  'leaving an organization, making one, being in none',
  async scenario => {
    const { page } = scenario
    await person('xia', member(['ACTION_RUNNER']))
    await server.admin('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled: true })
    await signIn(page, 'xia@example.com')
    // It asks for a second factor; leaving does not.
    await reads(page.locator('h1'), /asks for a second factor/)
    await page.getByText('Your account').click()
    await page.getByRole('link', { name: 'Organizations' }).click()
    await page.getByRole('button', { name: 'Leave Test Runner' }).click()
    await shown(page.locator('[role="dialog"]'))
    await scenario.picture('leave organization')
    await page.getByRole('button', { name: 'Leave the organization' }).click()
    await shown(page.getByText('You are in no organization.'))
    await looks(scenario, 'no organization')
    await page.goto('/')
    await isAt(page, '/account/organizations')
    await page.getByLabel('Name').fill('Own House')
    await page.keyboard.press('Enter')
    await isAt(page, '/dashboard/own-house/develop/actions')
    await reads(page.locator('aside h1'), 'Own House')
  },
  { signedIn: false },
)
