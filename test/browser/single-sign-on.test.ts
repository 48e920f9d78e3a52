/**
 * Single sign-on in a browser, against a real provider: an administrator sets it up, people come in through it, passwords
 * are closed, and a directory gets its token.
 */
import t from 'tap'
import { OidcServer } from '../support/oidc-server.js'
import { sdkHost } from '../support/sdk-host.js'
import { looks } from './looks.js'
import { isAt, reads, resultOf, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t, { flags: ['--sso:allow', '127.0.0.1'] })
const { server } = stage
const seeded = await stage.seed()
const provider = await OidcServer.start([`${server.address}/api/auth/sso/callback`])
t.teardown(() => provider.stop())
const { slug, id: organizationId } = seeded.organization
await server.admin('createGroup', { organizationId, slug: 'payroll', name: 'Payroll' })
provider.people.set('grace', {
  email: 'grace@acme.test',
  email_verified: true,
  given_name: 'Grace',
  family_name: 'Hopper',
  groups: ['pay'],
})
const host = sdkHost('2.0.0', {
  endpoint: server.endpoint,
  apiKey: seeded.liveKey,
  actions: { pay: async io => await io.confirmIdentity('Pay it out', { gracePeriodMs: 0 }) },
})
t.teardown(() => host.close())
await host.listen()
const screen = `/dashboard/${slug}/organization/sso`

await stage.scenario(t, 'an administrator proves a domain and sets up the provider', async scenario => {
  const { t, page } = scenario
  await page.goto(screen)
  await shown(page.getByRole('heading', { name: 'Single sign-on' }))
  await looks(scenario, 'sso empty')

  await page.getByLabel('Add a domain').fill('no domain')
  await page.getByRole('button', { name: 'Add domain' }).click()
  await reads(page.locator('#input-domain-error'), /not a domain/)
  await page.getByLabel('Add a domain').fill('acme.test')
  await page.keyboard.press('Enter')
  await shown(page.getByText(/^interval-domain-verification=/))
  await page.getByRole('button', { name: 'Check the record' }).click()
  await shown(page.getByText('There is no such TXT record at acme.test yet'))
  await server.admin('verifyEmailDomain', { organizationId, domain: 'acme.test' })
  await page.reload()
  await shown(page.getByText('Proven', { exact: true }))

  await page.getByLabel('Issuer').fill('http://10.0.0.1')
  await page.getByLabel('Client ID').fill(provider.clientId)
  await page.getByLabel('Client secret').fill(provider.clientSecret)
  await page.getByRole('button', { name: 'Save' }).click()
  await reads(page.locator('#input-issuer-error'), /not a public address/)
  t.equal(await page.evaluate('document.activeElement.id'), 'input-issuer', 'the caret is at what was wrong')
  await page.getByLabel('Issuer').fill(provider.issuer)
  await page.getByRole('button', { name: 'Add a group' }).click()
  await page.getByLabel('Group 1', { exact: true }).fill('pay')
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(page.getByText('Saved.'))
  t.equal(await page.getByLabel('Client secret').inputValue(), '', 'the secret is gone from the page')
  await page.reload()
  await shown(page.getByText('Stored. Leave it empty to keep it.'))
  t.equal(await page.getByLabel('Group 1', { exact: true }).inputValue(), 'pay')
  await looks(scenario, 'sso set up')
})

await stage.scenario(
  t,
  'somebody of the domain comes in through the provider',
  async scenario => {
    const { t, page } = scenario
    await page.goto(`/dashboard/${slug}/actions?x=1`)
    await isAt(page, /^\/login/)
    await page.locator('input[name="email"]').fill('grace@acme.test')
    await page.locator('button[type="submit"]').first().click()
    await shown(page.locator('input[name="password"]'))
    await looks(scenario, 'sso sign-in')
    await page.getByRole('link', { name: 'Continue with single sign-on' }).click()
    await page.locator('input[name="login"]').fill('grace')
    await page.locator('input[name="password"]').fill('any')
    await page.locator('button[type="submit"]').click()
    await isAt(page, `/dashboard/${slug}/actions?x=1`)
    const found = await server.admin<{ memberships: { groupIds: string[] }[] }>('findUser', {
      email: 'grace@acme.test',
    })
    t.equal(found.memberships[0]?.groupIds.length, 1, 'in the team of her group')
    await page.goto(screen)
    await shown(page.getByText('Not found'))
  },
  { signedIn: false },
)

await stage.scenario(
  t,
  'whom the provider does not vouch for is told why',
  async scenario => {
    const { page } = scenario
    provider.people.set('mallory', { email: 'mallory@acme.test', email_verified: false })
    await page.goto('/login')
    await page.locator('input[name="email"]').fill('mallory@acme.test')
    await page.keyboard.press('Enter')
    await page.getByRole('link', { name: 'Continue with single sign-on' }).click()
    await page.locator('input[name="login"]').fill('mallory')
    await page.locator('input[name="password"]').fill('any')
    await page.locator('button[type="submit"]').click()
    await isAt(page, '/login?problem=no-email')
    await reads(page.locator('[role="alert"]'), /no email address that it answers for/)
    await looks(scenario, 'sso refused')
    await page.goto('/login?problem=%3Cscript%3E')
    await shown(page.locator('input[name="email"]'))
  },
  { signedIn: false },
)

await stage.scenario(t, 'only single sign-on: passwords are closed after asking', async scenario => {
  const { page } = scenario
  await page.goto(screen)
  await page.getByLabel('Only single sign-on').check()
  await page.getByRole('button', { name: 'Save' }).click()
  const dialog = page.getByRole('dialog', { name: 'Close passwords?' })
  await shown(dialog)
  await looks(scenario, 'sso required')
  await dialog.getByRole('button', { name: 'Close passwords' }).click()
  await shown(page.getByText('Saved.'))
})

await stage.scenario(
  t,
  'then the sign-in leads straight to the provider',
  async scenario => {
    const { t, page } = scenario
    await page.goto('/login')
    await page.locator('input[name="email"]').fill('grace@acme.test')
    await page.locator('button[type="submit"]').first().click()
    await shown(page.getByRole('button', { name: 'Use a password' }))
    t.equal(await page.locator('input[name="password"]').count(), 0)
    await looks(scenario, 'sso only')
    await page.getByRole('button', { name: 'Continue with single sign-on' }).click()
    await shown(page.locator('input[name="login"]'))
    await page.locator('input[name="login"]').fill('grace')
    await page.locator('input[name="password"]').fill('any')
    await page.locator('button[type="submit"]').click()
    await isAt(page, `/dashboard/${slug}`)

    // Without a password, she proves who she is where she came from, and only as herself.
    await page.goto(`/dashboard/${slug}/actions/pay`)
    const link = await shown(page.getByRole('link', { name: 'Confirm with single sign-on' }))
    await looks(scenario, 'sso confirm identity')
    const step =
      new URL((await link.getAttribute('href')) ?? '', server.address).searchParams.get('step') ?? ''
    const [other] = await Promise.all([page.context().waitForEvent('page'), link.click()])
    await other.locator('input[name="login"]').fill('mallory')
    await other.locator('input[name="password"]').fill('any')
    await other.locator('button[type="submit"]').click()
    await shown(other.getByText('Nothing was confirmed'))
    await other.close()
    t.match(step, /\//, 'it is for this step')
    const [own] = await Promise.all([page.context().waitForEvent('page'), link.click()])
    await own.locator('input[name="login"]').fill('grace')
    await own.locator('input[name="password"]').fill('any')
    await own.locator('button[type="submit"]').click()
    t.equal(await resultOf(page), 'true')
  },
  { signedIn: false },
)

await stage.scenario(t, 'a directory: its token is shown once', async scenario => {
  const { t, page } = scenario
  await page.goto(screen)
  await page.getByRole('button', { name: 'Create a token' }).click()
  const token = await (await shown(page.getByText(/^scim_/))).textContent()
  const url = `${server.address}/scim/v2/${organizationId}/Users`
  const ask = () => fetch(url, { headers: { authorization: `Bearer ${token}` } })
  t.equal((await ask()).status, 200)
  await looks(scenario, 'sso directory')
  await page.reload()
  await shown(page.getByText('Address of the directory'))
  t.equal(await page.getByText(/^scim_/).count(), 0)
  await page.getByRole('button', { name: 'Close the directory' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Close the directory' }).click()
  await shown(page.getByRole('button', { name: 'Create a token' }))
  t.equal((await ask()).status, 401)
})
