/**
 * A second factor: an organization that asks for one, setting it up, signing in with it, switching it off. And leaving an
 * organization, which asks for none.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { WebSocket } from 'ws'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { codeAt } from '../support/one-time-codes.js'
import { sdkHost } from '../support/sdk-host.js'
import { looks } from './looks.js'
import { peopleStage } from './people.js'
import { isAt, reads, shown } from './stage.js'

t.setTimeout(300_000)
const { member, person, seeded, signIn, stage } = await peopleStage(t)
const { server } = stage

/** The owner asks everybody for one, which takes having one. Returns the status. */
async function requireSecondFactor(): Promise<number> {
  const { email } = seeded.user
  const { recoveryCodes } = await server.admin<{ recoveryCodes: string[] }>('enrollMfa', { email })
  const half = await server.signIn(email, seeded.password)
  const ask = (method: string, path: string, cookie: string, body: object) =>
    fetch(`${server.address}/api/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json', origin: server.address, cookie },
      body: JSON.stringify(body),
    })
  const entered = await ask('POST', '/session/second-factor', half, { code: recoveryCodes[0] })
  const cookie = entered.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  const path = `/organizations/${seeded.organization.slug}/settings`
  return (await ask('PATCH', path, cookie, { requireSecondFactor: true })).status
}

await stage.scenario(
  t,
  'an organization that asks for a second factor; setting one up, signing in with it, switching it off',
  async scenario => {
    const { t, page, another } = scenario
    await person('wim', member(['DEVELOPER']))
    await signIn(page, 'wim@example.com')
    await isAt(page, `/dashboard/${seeded.organization.slug}`)
    const open = await stage.openWindow({ signedIn: false })
    await person('zed', member(['ACTION_RUNNER']))
    await signIn(open.page, 'zed@example.com')
    await shown(open.page.getByRole('heading', { name: 'Actions', exact: true }))
    t.equal(await requireSecondFactor(), 200)
    await reads(open.page.locator('h1').first(), /asks for a second factor/)
    t.same(open.complaints, [], 'a window that was open is led there too')
    await open.context.close()
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
    const proof = window.getByLabel('Code of your authenticator app')
    await proof.fill(first)
    await window.getByRole('button', { name: 'Make new codes' }).click()
    await reads(window.locator('h3').last(), 'New recovery codes')
    const renewed = window.getByRole('list', { name: 'Recovery codes' }).locator('li')
    await shown(renewed.first())
    const [third = ''] = await renewed.allTextContents()
    await window.getByRole('button', { name: 'I have kept them' }).click()
    await window.getByRole('button', { name: 'Switch it off' }).click()
    const dialog = window.locator('[role="dialog"]')
    await proof.fill('000000')
    await dialog.getByRole('button', { name: 'Switch it off' }).click()
    await shown(dialog.getByText('The code is wrong or was used before.'))
    await proof.fill(third)
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

t.test('over a socket it is the same: nothing is listed, begun or answered', async t => {
  const host = sdkHost('2.0.0', {
    endpoint: server.endpoint,
    apiKey: seeded.liveKey,
    actions: { ask: async io => await io.input.text('What is it?') },
  })
  t.teardown(() => host.close())
  await host.listen()
  const { email, id } = await person('abe', member(['ACTION_RUNNER']))
  await server.admin('enrollMfa', { email })
  // Signed in before the factor is taken away again.
  await server.admin('setUserMfa', { userId: id, mfaId: null })
  const browser = await BrowserClient.connect(server.address, await server.signIn(email, seeded.password))
  t.teardown(() => browser.close())
  const place = { organization: seeded.organization.slug, environment: 'production' }
  const start = { ...place, transactionId: randomUUID(), slug: 'ask' }
  const required = 'second-factor-required'
  t.equal((await refusal(browser.ask('directory.watch', place))).code, required)
  t.equal((await refusal(browser.ask('transaction.start', start))).code, required)
  t.equal((await refusal(browser.ask('queue.list', place))).code, required)
  t.equal(
    (await refusal(browser.ask('page.open', { ...place, pageKey: randomUUID(), slug: 'page' }))).code,
    required,
  )

  await server.admin('setUserMfa', { userId: id, mfaId: 'an-external-factor' })
  const half = await server.signIn(email, seeded.password)
  const socket = new WebSocket(server.endpoint, { headers: { cookie: half, origin: server.address } })
  const code = await new Promise<number>(resolve => socket.once('close', resolve))
  t.equal(code, 4401, 'half a session opens no socket')
})
