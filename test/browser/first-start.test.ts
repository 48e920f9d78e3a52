/**
 * A fresh server, from the first account to the first host: set-up, console, sign-out, sign-in, keys. And what all
 * screens share: how much script the first load brings.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../lib/root.js'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { accessibilityProblems, gone, isAt, reads, resultOf, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t, { isFirstStart: true })
const account = { email: 'first@example.com', password: 'a long enough password' }

await stage.scenario(t, 'set-up makes the first account and leads to the console', async scenario => {
  const { t, page, picture, complaints } = scenario
  await page.goto('/')
  await isAt(page, '/setup')
  await shown(page.locator('input[name="email"]'))
  t.same(await accessibilityProblems(page), [])
  await page.locator('input[name="email"]').fill(account.email)
  await page.locator('input[name="firstName"]').fill('Ada')
  await page.locator('input[name="lastName"]').fill('Quill')
  await page.locator('input[name="password"]').fill('short')
  await page.locator('input[name="organizationName"]').fill('Quill Works')
  await picture('set-up')
  await page.locator('button[type="submit"]').click()
  await shown(page.locator('#input-password-error'))
  await picture('set-up refused')
  await page.locator('input[name="password"]').fill(account.password)
  await page.locator('button[type="submit"]').click()
  await isAt(page, '/dashboard/quill-works/develop/actions')
  await shown(page.getByText('Connect your first host'))
  t.same(await accessibilityProblems(page), [])
  await picture('onboarding')

  await page.getByRole('button', { name: 'Create a development key' }).click()
  await gone(page.getByRole('button', { name: 'Create a development key' }))
  const code = (await page.locator('pre code').allTextContents()).join('\n')
  const key = /apiKey: '([^']+)'/.exec(code)?.[1] ?? ''
  t.match(code, `endpoint: '${stage.server.endpoint}'`)
  const host = sdkHost('2.0.0', {
    endpoint: stage.server.endpoint,
    apiKey: key,
    actions: { hello: async io => `Hello, ${await io.input.text('What is your name?')}!` },
  })
  t.teardown(() => host.close())
  await host.listen()
  await shown(page.locator('[data-pw-actions-list]'))
  await picture('first host')
  await page.locator('[data-pw-run-slug="hello"]').click()
  await page.getByLabel('What is your name?').fill('Ada')
  await page.keyboard.press('Enter')
  t.equal(await resultOf(page), 'Hello, Ada!')
  t.same(complaints, [])
})

await stage.scenario(t, 'sign-in in two steps, and out again', async ({ t, page, picture }) => {
  await page.goto('/setup')
  await isAt(page, '/login')
  await page.goto('/dashboard/quill-works/develop/actions')
  await isAt(page, /^\/login\?from=/)
  t.equal(await page.locator('input[name="password"]').count(), 0)
  t.same(await accessibilityProblems(page), [])
  await page.locator('input[name="email"]').fill(account.email)
  await page.locator('button[type="submit"]').first().click()
  const password = page.locator('input[name="password"]')
  await password.fill('not the password')
  t.same(await accessibilityProblems(page), [])
  await page.locator('button[type="submit"]').first().click()
  await reads(page.locator('[role="alert"]'), 'Email address or password is wrong.')
  t.same(await accessibilityProblems(page), [])
  await picture('wrong password')
  await password.fill(account.password)
  await page.locator('button[type="submit"]').first().click()
  await isAt(page, '/dashboard/quill-works/develop/actions')

  await page.locator('[data-pw-nav-control-panel-toggle]').click()
  await shown(page.getByText(account.email))
  await picture('account menu')
  t.same(await accessibilityProblems(page), [])
  await page.getByText('Sign out').click()
  await isAt(page, /^\/login/)
  await page.goto('/dashboard/quill-works')
  await isAt(page, /^\/login/)
})

await stage.scenario(t, 'keys: made, used by a host, revoked', async ({ t, page, picture }) => {
  await page.goto('/login?from=/dashboard/quill-works/develop/keys')
  await page.locator('input[name="email"]').fill(account.email)
  await page.locator('button[type="submit"]').first().click()
  await page.locator('input[name="password"]').fill(account.password)
  await page.locator('button[type="submit"]').first().click()
  await reads(page.locator('h2'), 'Keys')
  await page.getByLabel('Label').fill('Nightly jobs')
  await page.getByLabel('For').selectOption('production')
  await page.getByRole('button', { name: 'Create key' }).click()
  const made = page.locator('[role="status"] code')
  await shown(made)
  const key = (await made.textContent()) ?? ''
  t.ok(key.length >= 32)
  t.same(await accessibilityProblems(page), [])
  await picture('keys')
  const host = sdkHost('2.0.0', {
    endpoint: stage.server.endpoint,
    apiKey: key,
    actions: { nightly: async () => 'done' },
  })
  t.teardown(() => host.close())
  await host.listen()
  t.equal(host.isConnected, true)

  await page.reload()
  const row = page.locator('li', { hasText: 'Nightly jobs' })
  await shown(row)
  t.equal(await page.getByText(key).count(), 0, 'its text is not shown again')
  await row.getByRole('button', { name: 'Revoke' }).click()
  const dialog = await shown(page.locator('[role="dialog"]'))
  t.same(await accessibilityProblems(page), [])
  await picture('revoke')
  await dialog.getByRole('button', { name: 'Revoke the key' }).click()
  await gone(row)
  await eventually(() => {
    if (host.isConnected) throw new Error('the host is still connected')
  })
  await page.goto('/dashboard/quill-works')
  await shown(page.locator('h2'))
  await gone(page.locator('[data-pw-run-slug="nightly"]'))
})

t.test('the first load brings less than 250 KB of script, compressed', async t => {
  const folder = join(packageRoot, 'dist', 'dashboard')
  const index = readFileSync(join(folder, 'index.html'), 'utf8')
  const scripts = [...index.matchAll(/(?:src|href)="\/([^"]+\.js)"/g)].map(match => match[1] ?? '')
  t.ok(scripts.length > 0)
  let bytes = 0
  for (const script of scripts) {
    const compressed = join(folder, `${script}.gz`)
    t.ok(existsSync(compressed), `${script} is compressed ahead`)
    bytes += statSync(compressed).size
  }
  t.comment(`${scripts.length} scripts, ${(bytes / 1_024).toFixed(1)} KB`)
  t.ok(bytes < 250 * 1_024, `${bytes} bytes`)
})
