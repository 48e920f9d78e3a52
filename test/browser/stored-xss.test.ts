/**
 * Every text that a host or a person can leave behind, and every address, carries something that calls `marker()` where
 * it is taken for more than words. It must never be called. The screens are tried in a browser that ignores the page's
 * policy: with the policy on, a hole in a screen would not show here. That the policy holds on its own is tried last.
 */
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.js'
import { hostileAddresses, hostileMarkup, hostileMarkups } from '../support/hostile-texts.js'
import { continueButton, gone, isAt, resultOf, type Scenario, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t)
const { server } = stage
const seeded = await stage.seed()
const { slug, id: organizationId } = seeded.organization
const home = `/dashboard/${slug}`
const cookie = await server.signIn(seeded.user.email, seeded.password)

/** Named, so that it can be waited for. */
const evil = (name: string) => `${name} ${hostileMarkup}`

async function send(method: string, path: string, body: object): Promise<Record<string, string>> {
  const response = await fetch(`${server.address}/api/v1${path}`, {
    method,
    headers: { cookie, origin: server.address, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text === '' ? {} : (JSON.parse(text) as Record<string, string>)
}

// All that people can name, named.
const organization = `/organizations/${slug}`
await send('PATCH', '/account', { firstName: evil('First'), lastName: evil('Last') })
await send('PATCH', `${organization}/settings`, { name: evil('Organization') })
const team = await send('POST', `${organization}/teams`, { name: evil('Team'), slug: 'team' })
await send('POST', `${organization}/environments`, {
  name: evil('Environment'),
  slug: 'staging',
  color: null,
})
await send('POST', `${organization}/keys`, {
  kind: 'DEVELOPMENT',
  environment: 'development',
  label: evil('Key'),
})
await send('POST', '/access-tokens', { name: evil('Token'), scope: 'read', days: 7 })
await server.admin('addGroupMember', { organizationId, userId: seeded.user.id, groupId: team.id })
const invitation = await server.admin<{ id: string }>('createInvitation', {
  organizationId,
  email: 'guest@example.com',
  permissions: ['DEVELOPER'],
  groupIds: [team.id],
})
await server.admin('upsertHttpHost', {
  organizationId,
  url: `https://example.com/?${encodeURIComponent(hostileMarkup)}`,
})
await stage.startHost(seeded.liveKey, 'dist/test/support/hostile-host.js')
await stage.startHost(seeded.developmentKey, 'dist/test/support/hostile-host.js')
const fromHost = (path: string, body: object) =>
  fetch(`${server.address}/api/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${seeded.liveKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
await fromHost('notify', {
  title: evil('Title'),
  message: evil('Message'),
  deliveryInstructions: [{ to: seeded.user.email, method: 'EMAIL' }],
  createdAt: new Date().toISOString(),
})
await fromHost('actions/enqueue', {
  slug: 'redirects',
  assignee: seeded.user.email,
  params: { [evil('name')]: evil('value'), at: 0 },
})

/**
 * Evaluated in the page (a text, since the tests are not compiled for one): names what in the document could run, or leads
 * to something that runs. The dashboard itself has none of these, so whatever is named has come from a text.
 */
const dangers = `(() => {
  const found = []
  for (const element of document.querySelectorAll('*')) {
    const name = element.localName
    if (['iframe', 'object', 'embed', 'base', 'animate', 'set'].includes(name)) found.push(name)
    if (name === 'script' && !element.src.startsWith(location.origin + '/')) found.push('script')
    for (const { name: attribute, value } of element.attributes) {
      const bare = [...value].filter(letter => letter.charCodeAt(0) > 32).join('').toLowerCase()
      if (attribute.startsWith('on') || attribute === 'srcdoc') found.push(name + ' ' + attribute)
      if (name === 'a' && attribute === 'href' && !/^(https?:|mailto:|[/?])/.test(value)) found.push('a to ' + value)
      const leads = ['href', 'xlink:href', 'src', 'action', 'formaction', 'poster', 'data'].includes(attribute)
      if ((attribute.endsWith('href') && bare.startsWith('data:')) || (leads && /^(javascript|vbscript|view-source|data:(?!image|video|audio))/.test(bare))) found.push(name + ' ' + attribute + ' ' + value)
    }
  }
  return found
})()`

/** Nothing was run, and nothing there is could be. */
async function isHarmless(t: Test, page: Page, calls: readonly string[], where: string): Promise<void> {
  // What is loaded in vain says so a moment later; then its handler, if it has one, has run.
  await page.evaluate(
    `Promise.all([...document.images].map(image => image.complete || new Promise(done => { image.onload = image.onerror = done; setTimeout(done, 2000) })))`,
  )
  await page.evaluate('new Promise(done => requestAnimationFrame(() => setTimeout(done)))')
  t.same(await page.evaluate(dangers), [], `${where}: nothing that could run`)
  t.same(calls, [], `${where}: nothing was run`)
}

async function scenario(
  name: string,
  play: (scenario: Scenario & { harmless: (where: string) => Promise<void> }) => Promise<void>,
  options: { signedIn?: boolean; ignoresPolicy?: boolean } = {},
): Promise<void> {
  await stage.scenario(
    t,
    name,
    async scenario => {
      const calls: string[] = []
      await scenario.context.exposeBinding('marker', ({ frame }) => calls.push(frame.url()))
      const { page, t } = scenario
      await play({ ...scenario, harmless: where => isHarmless(t, page, calls, where) })
      t.same(calls, [], 'nothing was run')
    },
    { ignoresPolicy: true, ...options },
  )
}

await scenario('what calls the marker is seen to call it', async ({ t, page }) => {
  await page.goto('/login')
  const calls: unknown[] = []
  await page.context().exposeBinding('noted', () => calls.push(1))
  await page.reload()
  await page.evaluate(
    `document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(hostileMarkup.replace('marker', 'noted'))})`,
  )
  await eventually(() => {
    if (calls.length === 0) throw new Error('the markup ran nothing')
  })
  t.ok((await page.evaluate<string[]>(dangers)).includes('img onerror'))
})

await scenario(
  'fields: labels, help, placeholders, defaults, options, errors',
  async ({ t, page, harmless }) => {
    await page.goto(`${home}/actions/inputs`)
    await shown(page.getByText(evil('sheet')))
    await shown(page.locator('.ProseMirror'))
    await harmless('fields')
    await page.getByLabel(evil('search')).click()
    await shown(page.locator('[data-pw-search-result]').first())
    await page.getByLabel(evil('one')).click()
    await shown(page.locator('.iv-select__menu'))
    await harmless('menus')
    await page.keyboard.press('Escape')
    await page
      .locator('input[type="file"]')
      .last()
      .setInputFiles({
        name: `${evil('name')}.txt`.replaceAll('/', ''),
        mimeType: 'text/html',
        buffer: Buffer.from('<script>marker()</script>'),
      })
    await continueButton(page).click()
    await shown(page.locator('[data-pw="field-error"]', { hasText: 'refused' }).first())
    await harmless('errors, and the name of a file')
    t.equal(await page.getByLabel(evil('text')).inputValue(), evil('default'), 'words stay words')
  },
)

await scenario(
  'displays: markdown, html, code, links, media, tables, results',
  async ({ t, page, harmless }) => {
    await page.goto(`${home}/actions/displays`)
    await shown(page.locator('h1', { hasText: 'markdown' }))
    await shown(page.getByText(evil('grid')))
    await harmless('displays')
    await page.getByRole('button', { name: 'Open options' }).first().click()
    await shown(page.locator('[role="menu"]'))
    await harmless('row menu')
    await page.keyboard.press('Escape')
    await continueButton(page).click()
    t.match(await resultOf(page), /result "><img src=x onerror=marker\(\)>/)
    await harmless('result')
  },
)

await scenario('loading, logs, notifications, questions, failures', async ({ page, harmless }) => {
  await page.goto(`${home}/develop/actions/asks`)
  await shown(page.locator('[data-io-confirm]'))
  await page.locator('[data-pw-tab-id="Logs"]').click()
  await shown(page.locator('[data-pw-transaction-logs] > div').first())
  await harmless('logs')
  await page.locator('[data-pw-tab-id="Notifications"]').click()
  await shown(page.getByText(evil('message')))
  await harmless('notifications')
  await page.getByRole('button', { name: 'Confirm' }).click()
  await resultOf(page, 'Error')
  await harmless('failure')
})

await scenario('redirects lead nowhere that runs', async ({ t, page, harmless }) => {
  for (const [at, address] of hostileAddresses.entries()) {
    // `at=0` would be left out of an address; the first is what an action without parameters goes to.
    await page.goto(`${home}/actions/redirects?at=${at}`)
    await resultOf(page, 'Redirected')
    await harmless(address)
    t.match(page.url(), `${home}/actions/redirects`, 'still here')
  }
})

await scenario('pages and lists', async ({ page, harmless }) => {
  for (const path of [
    '',
    '/actions/page',
    '/actions/page/broken',
    '/transactions',
    '/develop/actions',
    '+staging',
  ]) {
    await page.goto(home + path)
    await shown(page.locator('main h2').first())
    if (path === '/actions/page') await shown(page.locator('.iv-table'))
    if (path === '') {
      await page.getByRole('button', { name: /notification/i }).click()
      await shown(page.getByText(evil('Message')))
    }
    await harmless(path)
  }
  await page.locator('[data-pw-nav-control-panel-toggle]').first().click()
  await shown(page.locator('[data-pw-nav-control-panel]'))
  await harmless('the account menu')
  await page.keyboard.press('Escape')
  await page.keyboard.press('Control+k')
  await shown(page.getByRole('option').first())
  await harmless('the command bar')
})

await scenario('the organization, the account, and what was run', async ({ page, harmless }) => {
  const sections = [
    'users',
    'teams',
    `teams/${team.id}`,
    'environments',
    'keys',
    'actions',
    'hosts',
    'outbox',
  ]
  const account = ['', '/tokens', '/organizations', '/sessions']
  const paths = [
    ...[...sections, 'schedules', 'sso', 'settings', 'audit'].map(
      section => `${home}/organization/${section}`,
    ),
    ...account.map(section => `/account${section}`),
  ]
  for (const path of paths) {
    await page.goto(path)
    await shown(page.locator('h2').first())
    await gone(page.getByRole('status', { name: 'Loading' }))
    await harmless(path)
  }
  await page.goto(`${home}/transactions`)
  const run = page.locator('main a[href*="/transactions/"]')
  await shown(run.first())
  const addresses = await page.evaluate<string[]>(
    `[...document.querySelectorAll('main a[href*="/transactions/"]')].map(link => link.getAttribute('href'))`,
  )
  for (const address of new Set(addresses.slice(0, 5))) {
    await page.goto(address)
    await shown(page.locator('[data-test-id="result-type"]'))
    await gone(page.getByRole('status', { name: 'Loading' }))
    await harmless('a run of the history')
  }
})

await scenario(
  'an invitation',
  async ({ page, harmless }) => {
    await page.goto(`/signup?token=${invitation.id}`)
    await shown(page.getByText('inviting you to join'))
    await harmless('invitation')
    for (const from of ['//example.com', '/\\example.com', 'javascript:marker()', 'https://example.com']) {
      await page.goto(`/login?from=${encodeURIComponent(from)}`)
      await page.locator('input[name="email"]').fill(seeded.user.email)
      await page.keyboard.press('Enter')
      await page.locator('input[name="password"]').fill(seeded.password)
      await page.keyboard.press('Enter')
      await isAt(page, home)
      await harmless(`coming from ${from}`)
      await page.context().clearCookies()
    }
  },
  { signedIn: false },
)

await t.test('files that are exported are never pages', async t => {
  const exports = [
    `${organization}/audit/export?format=csv`,
    `${organization}/audit/export?format=json`,
    `${organization}/environments/production/transactions/export?format=csv`,
    `${organization}/environments/production/transactions/export?format=json`,
  ]
  for (const path of exports) {
    const response = await fetch(`${server.address}/api/v1${path}`, { headers: { cookie } })
    t.equal(response.status, 200, path)
    t.match(response.headers.get('content-disposition'), /^attachment; filename="[\w.-]+"/)
    t.equal(response.headers.get('x-content-type-options'), 'nosniff')
    t.match(response.headers.get('content-type'), /^(text\/csv|application\/(x-ndjson|json))/)
    await response.text()
  }
})

await t.test('the policy alone lets nothing run either', async t => {
  const { context, page, complaints } = await stage.openWindow({ signedIn: false })
  const calls: unknown[] = []
  await context.exposeBinding('marker', () => calls.push(1))
  await page.goto('/login')
  await page.evaluate(
    `document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(hostileMarkups.join(''))} + '<a id="lead" href="javascript:marker()">Go</a>')`,
  )
  await page.evaluate(`document.getElementById('lead').click()`)
  await eventually(() => {
    const refused = complaints.filter(words => /Content Security Policy/.test(words))
    if (refused.length < 5) throw new Error(`only ${refused.length} were refused`)
  })
  t.same(calls, [])
  await context.close()
})
