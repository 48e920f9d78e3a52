/**
 * The sections of an organization as its administrator works with them: members and invitations, teams, environments,
 * keys, access, serverless hosts, settings, the audit log; and what is left of them for others. Each is looked at by axe,
 * and drawn light and dark, wide and narrow, when PICTURES is set.
 */
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { RawHost } from '../cluster/raw-socket.js'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { accessibilityProblems, gone, isAt, reads, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t)
const { server } = stage
const seeded = await stage.seed()
const organizationId = seeded.organization.id
const home = `/dashboard/${seeded.organization.slug}`
const password = 'a long enough password'
const member = (email: string, firstName: string, permissions: string[]) =>
  server.admin<{ id: string }>('createUser', {
    email,
    firstName,
    lastName: 'Quill',
    password,
    membership: { organizationId, permissions },
  })
await member('bea@example.com', 'Bea', ['DEVELOPER'])
await member('cid@example.com', 'Cid', ['ACTION_RUNNER'])

/** No violations, in light and in dark; pictures of it where they are wanted. */
async function looksRight(
  page: Page,
  t: Test,
  name: string,
  picture: (name: string) => Promise<void>,
): Promise<void> {
  t.same(await accessibilityProblems(page), [], `${name}, light`)
  await page.emulateMedia({ colorScheme: 'dark' })
  t.same(await accessibilityProblems(page), [], `${name}, dark`)
  if (process.env.PICTURES) {
    await picture(`org ${name} dark`)
    await page.setViewportSize({ width: 390, height: 844 })
    await picture(`org ${name} dark phone`)
    await page.emulateMedia({ colorScheme: 'light' })
    await page.evaluate(
      'Promise.all(document.getAnimations().map(fade => fade.finished.catch(() => undefined)))',
    )
    await picture(`org ${name} phone`)
    await page.setViewportSize({ width: 1280, height: 720 })
    await picture(`org ${name}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  const overflow = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
  await page.setViewportSize({ width: 390, height: 844 })
  t.same(await page.evaluate(overflow), 0, `${name}: nothing sticks out on a phone`)
  await page.setViewportSize({ width: 1280, height: 720 })
}

await stage.scenario(t, 'teams: added, filled, renamed', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/teams`)
  await reads(page.locator('h2'), 'Teams')
  await shown(page.getByText('There are no teams yet.'))
  await looksRight(page, t, 'teams empty', picture)
  for (const name of ['Finance', 'Support']) {
    await page.goto(`${home}/organization/teams`)
    await page.getByRole('button', { name: 'Add team' }).click()
    await page.getByRole('textbox', { name: 'Name' }).fill(name)
    await page.getByLabel('Slug').fill('not a slug')
    await page.keyboard.press('Enter')
    await shown(page.locator('#input-slug-error'))
    t.equal(await page.evaluate('document.activeElement?.name'), 'slug', 'the caret is where the mistake is')
    if (name === 'Finance') await looksRight(page, t, 'team form', picture)
    await page.getByLabel('Slug').fill('')
    await page.keyboard.press('Enter')
    await reads(page.locator('h2'), name)
  }
  await page.getByLabel('Add somebody').fill('bea')
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByRole('button', { name: 'Add Bea Quill to the team' }).click()
  await reads(page.locator('main [role="status"]').first(), 'Bea Quill is in the team now.')
  await looksRight(page, t, 'team', picture)
  await page.getByRole('button', { name: 'Rename' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('First line')
  await page.getByRole('button', { name: 'Save' }).click()
  await reads(page.locator('h2'), 'First line')
  await page.locator('main').getByRole('link', { name: 'Teams', exact: true }).click()
  await isAt(page, `${home}/organization/teams`)
  await shown(page.getByRole('list', { name: 'Teams' }).getByText('1 member'))
  await looksRight(page, t, 'teams', picture)
})

await stage.scenario(t, 'users: an invitation, as suites fill it in', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/users`)
  await reads(page.locator('h2'), 'Users')
  const add = page.locator('button', { hasText: 'Add user' })
  await shown(add)
  t.equal(await page.locator('select[name="role"]').count(), 0, 'no form until it is asked for')
  t.equal(await page.locator('input[name="email"]').count(), 0)
  await add.click()
  await page.locator('input[name="email"]').first().fill('guest@example.com')
  t.same(
    await page.evaluate(
      `[...document.querySelectorAll('select[name="role"] option')].map(option => option.value)`,
    ),
    ['ADMIN', 'DEVELOPER', 'ACTION_RUNNER'],
  )
  await page.locator('select[name="role"]').selectOption('DEVELOPER')
  await page.getByLabel('Finance').check()
  await looksRight(page, t, 'user form', picture)
  await page.locator('button[type="submit"]', { hasText: 'Add user' }).click()
  await shown(page.getByText('An invitation was sent to guest@example.com.'))
  t.equal(await page.locator('select[name="role"]').count(), 0)
  const stored = await server.admin<{ id: string; permissions: string[]; groupIds: string[] }>(
    'findInvitation',
    { email: 'guest@example.com' },
  )
  t.match(stored, { permissions: ['DEVELOPER'] })
  t.equal(stored.groupIds.length, 1)
  const waiting = page.locator('li', { hasText: 'guest@example.com' })
  await reads(waiting.locator('p').nth(1), /^Developer, Finance · until /)
  await looksRight(page, t, 'users', picture)

  // A member's address is refused beside the field.
  await add.click()
  await page.locator('input[name="email"]').first().fill('BEA@example.com')
  await page.locator('button[type="submit"]', { hasText: 'Add user' }).click()
  await reads(page.locator('#input-email-error'), 'This person is a member already.')
  await page.keyboard.press('Escape')

  await page.getByRole('button', { name: 'Resend the invitation to guest@example.com' }).click()
  await shown(page.getByText('It was sent a moment ago. Wait a minute.'))
  await page.getByRole('button', { name: 'Revoke the invitation of guest@example.com' }).click()
  await page.getByRole('button', { name: 'Revoke the invitation', exact: true }).click()
  await shown(page.getByText('The invitation of guest@example.com was revoked.'))
  await gone(waiting)
})

await stage.scenario(t, 'users: searched, edited, removed', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/users`)
  const rows = page.getByRole('list', { name: 'Users' }).locator('> li')
  await eventually(async () => {
    if ((await rows.count()) !== 3) throw new Error('not all are there')
  })
  await page.getByLabel('Search users').fill('cid')
  await eventually(async () => {
    if ((await rows.count()) !== 1) throw new Error('not found yet')
  })
  await page.getByRole('button', { name: 'Edit Cid Quill' }).click()
  await page.locator('select[name="role"]').selectOption('DEVELOPER')
  await page.getByLabel('Finance').check()
  await looksRight(page, t, 'user edit', picture)
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(page.getByText('Cid Quill was changed.'))
  await reads(rows.first(), /Cid Quillcid@example.comFinanceDeveloper/)
  await page.getByRole('button', { name: 'Remove Cid Quill' }).click()
  await shown(page.getByRole('dialog'))
  await looksRight(page, t, 'user removal', picture)
  await page.getByRole('button', { name: 'Remove from the organization' }).click()
  await shown(page.getByText('Cid Quill was removed.'))
  await page.getByLabel('Search users').fill('')
  await eventually(async () => {
    if ((await rows.count()) !== 2) throw new Error('not gone yet')
  })
  t.equal(
    await page.getByRole('button', { name: 'Remove Test Runner' }).isDisabled(),
    true,
    'the owner stays',
  )
})

await stage.scenario(t, 'environments: added, changed, deleted', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/environments`)
  await page.getByRole('button', { name: 'Add environment' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Staging')
  await page.getByText('purple').click()
  await looksRight(page, t, 'environment form', picture)
  await page.keyboard.press('Enter')
  await shown(page.getByText('Staging was added.'))
  await page.getByRole('button', { name: 'Edit Staging' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Stage')
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(page.getByText('Stage was changed.'))
  await looksRight(page, t, 'environments', picture)
  await page.getByRole('link', { name: 'Stage' }).click()
  await isAt(page, `${home}+staging`)
  await page.goto(`${home}/organization/environments`)
  await page.getByRole('button', { name: 'Delete Stage' }).click()
  await page.getByRole('button', { name: 'Delete the environment' }).click()
  await shown(page.getByText('Stage was deleted.'))
  await page.goto(`${home}+staging`)
  await reads(page.locator('h2'), 'Not found')
})

await stage.scenario(t, 'keys by environment and role', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/keys`)
  await reads(page.locator('h2'), 'Keys')
  await page.getByLabel('Label').fill('Nightly')
  await page.getByLabel('For').selectOption('production')
  await page.getByRole('button', { name: 'Create key' }).click()
  await shown(page.locator('[role="status"] code'))
  await looksRight(page, t, 'keys', picture)
  await page.getByRole('button', { name: 'Revoke Nightly' }).click()
  await page.getByRole('button', { name: 'Revoke the key' }).click()
  await gone(page.locator('li', { hasText: 'Nightly' }))
})

await stage.scenario(t, 'actions and access', async ({ t, page, picture, another }) => {
  const host = sdkHost('2.0.0', {
    endpoint: server.endpoint,
    apiKey: seeded.liveKey,
    actions: { refund: async () => 'done', 'nightly-report': async () => 'done' },
    pages: { books: async () => ({ title: 'Books' }) },
  })
  t.teardown(() => host.close())
  await host.listen()
  // What a host declares is in the database a moment later.
  await eventually(async () => {
    const path = `/api/v1/organizations/${seeded.organization.slug}/environments/production/settings`
    const text = await (await page.request.get(path)).text()
    if (!text.includes('nightly-report')) throw new Error('not declared yet')
  })
  await page.goto(`${home}/organization/actions`)
  const row = page.locator('li', { hasText: 'refund' })
  await shown(row.getByText('Open to everybody: nothing is said here or above'))
  await looksRight(page, t, 'actions', picture)

  const live = await another()
  await live.page.goto(home)
  await shown(live.page.locator('[data-pw-run-slug="refund"]'))
  await page.getByRole('button', { name: 'Access to refund' }).click()
  await page.getByLabel('Open to').selectOption('GROUPS')
  await page.getByLabel('Finance').selectOption('RUNNER')
  await looksRight(page, t, 'access form', picture)
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(row.getByText('Only Finance'))
  await gone(live.page.locator('[data-pw-run-slug="refund"]'))
  await live.page.goto(`${home}/actions/refund`)
  await shown(live.page.getByText('Not found'))

  await page.getByRole('button', { name: 'Access to refund' }).click()
  await page.getByLabel('Open to').selectOption('')
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(row.getByText('Open to everybody: nothing is said here or above'))
  await live.page.goto(home)
  await shown(live.page.locator('[data-pw-run-slug="refund"]'))

  await page.getByRole('button', { name: 'Settings of nightly-report' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Report of the night')
  await page.getByLabel('Notifications go to').fill('ops@example.com\n#reports')
  await looksRight(page, t, 'action form', picture)
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(page.getByText('Report of the night', { exact: true }))
  await shown(live.page.locator('[data-pw-run-slug="nightly-report"]', { hasText: 'Report of the night' }))
  await page.getByRole('button', { name: 'Archive Report of the night' }).click()
  await page.getByRole('button', { name: 'Archive', exact: true }).click()
  await gone(live.page.locator('[data-pw-run-slug="nightly-report"]'))
  await page.getByLabel('Show 1 archived').check()
  await page.getByRole('button', { name: 'Unarchive Report of the night' }).click()
  await shown(live.page.locator('[data-pw-run-slug="nightly-report"]'))
})

await stage.scenario(
  t,
  'a page that is not open to somebody, with an action in it that is',
  async ({ t, page, picture }) => {
    const host = await RawHost.connect(server, seeded.liveKey)
    t.teardown(() => host.raw.end())
    const team = { teams: ['finance'] }
    await host.call('INITIALIZE_HOST', {
      actions: [
        { slug: 'overview', groupSlug: 'ledger', access: 'entire-organization' },
        { slug: 'close-year', groupSlug: 'ledger' },
        { slug: 'audit', groupSlug: 'secret' },
      ],
      groups: [
        { slug: 'ledger', name: 'Ledger', hasHandler: true, access: team },
        { slug: 'secret', name: 'Secret', hasHandler: true, access: team },
      ],
      sdkName: '@interval/sdk',
      sdkVersion: '2.0.0',
      timestamp: Date.now(),
    })
    // The owner is in no team.
    await page.goto(home)
    await shown(page.locator('[data-pw-action-group="ledger"]'))
    t.equal(await page.locator('[data-pw-action-group="secret"]').count(), 0)
    await reads(page.locator('#desktop-nav li', { hasText: 'Ledger' }), 'Ledger')
    t.equal(await page.locator('#desktop-nav li', { hasText: 'Secret' }).count(), 0)
    await page.locator('[data-pw-action-group="ledger"]').first().click()
    await reads(page.locator('h2'), 'Ledger')
    await shown(page.locator('[data-pw-actions-list]'))
    t.equal(await page.locator('[data-pw-run-slug="ledger/overview"]').count(), 1, 'a list, no layout')
    t.equal(await page.locator('[data-pw-run-slug="ledger/close-year"]').count(), 0)
    await looksRight(page, t, 'forbidden page', picture)
    for (const path of ['ledger/close-year', 'secret', 'secret/audit']) {
      await page.goto(`${home}/actions/${path}`)
      await shown(page.getByText('Not found'))
    }
    // What code says is shown, not changed.
    await page.goto(`${home}/organization/actions`)
    const row = page.locator('li', { hasText: 'close-year' })
    await shown(row.getByText('Inherits from page Ledger'))
    t.equal(await page.getByRole('button', { name: 'Access to Ledger' }).isDisabled(), true)
  },
)

await stage.scenario(t, 'serverless hosts', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/hosts`)
  await shown(page.getByText('There are no serverless hosts.'))
  await page.getByRole('button', { name: 'Add host' }).click()
  await page.getByLabel('Address').fill('http://127.0.0.1:9/host')
  await page.keyboard.press('Enter')
  await shown(page.locator('#input-url-error'))
  await page.getByLabel('Address').fill('https://host.example/interval')
  await page.keyboard.press('Enter')
  await shown(page.locator('[role="status"] code'))
  const row = page.getByRole('list', { name: 'Serverless hosts' }).locator('li')
  await reads(row.locator('p').first(), 'https://host.example/interval')
  await looksRight(page, t, 'hosts', picture)
  await page.getByRole('button', { name: 'Check now: https://host.example/interval' }).click()
  await shown(page.locator('[role="alert"]', { hasText: 'did not answer' }))
  await page.getByRole('button', { name: 'Remove https://host.example/interval' }).click()
  await page.getByRole('button', { name: 'Remove the host' }).click()
  await shown(page.getByText('There are no serverless hosts.'))
})

await stage.scenario(t, 'settings: name, address, owner', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/settings`)
  await reads(page.locator('h2'), 'Settings')
  await looksRight(page, t, 'settings', picture)
  await page.getByRole('textbox', { name: 'Name' }).fill('Runner Works')
  await page.getByLabel('Address').fill('runner-works')
  await shown(page.getByText('This one is free.', { exact: false }))
  await page.getByRole('button', { name: 'Save' }).click()
  await isAt(page, '/dashboard/runner-works/organization/settings')
  await reads(page.locator('#desktop-nav h1, aside h1').first(), 'Runner Works')
  await page.getByLabel('Address').fill(seeded.organization.slug)
  await page.getByRole('button', { name: 'Save' }).click()
  await isAt(page, `${home}/organization/settings`)
  await page.getByRole('button', { name: 'Give it to somebody else' }).click()
  await shown(page.getByText('bea@example.com'))
  await looksRight(page, t, 'owner form', picture)
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Delete …' }).click()
  await page.getByLabel(`Type ${seeded.organization.slug} to go on`).fill('something else')
  await page.getByRole('button', { name: 'Delete the organization' }).click()
  await shown(page.locator('#repeated-slug-error'))
})

await stage.scenario(t, 'the audit log is read, filtered and taken along', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/audit`)
  await reads(page.locator('h2'), 'Audit log')
  const rows = page.getByRole('list', { name: 'Events' }).locator('> li')
  await eventually(async () => {
    if ((await rows.count()) < 10) throw new Error('too few')
  })
  await looksRight(page, t, 'audit', picture)
  await page.getByLabel('Event', { exact: true }).selectOption('member.removed')
  await eventually(async () => {
    if ((await rows.count()) !== 1) throw new Error(`${await rows.count()} rows`)
  })
  await reads(rows.first(), /Member removed · test.runner@example.com/)
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'CSV' }).click()
  t.match((await download).suggestedFilename(), /^audit-.*\.csv$/)
  await page.getByLabel('Person').fill('nobody at all')
  await shown(page.getByText('Nothing fits.'))
})

await stage.scenario(t, 'a runner sees who is there, and nothing to change', async ({ t, page }) => {
  await member('dot@example.com', 'Dot', ['ACTION_RUNNER'])
  await page.context().clearCookies()
  const [name = '', value = ''] = (await server.signIn('dot@example.com', password)).split(/=(.*)/s)
  await page.context().addCookies([{ name, value, url: server.address }])
  await page.goto(`${home}/organization`)
  await isAt(page, `${home}/organization/users`)
  await shown(page.getByRole('list', { name: 'Users' }).getByText('Dot Quill'))
  t.same(await page.getByRole('navigation', { name: 'Organization' }).getByRole('link').allTextContents(), [
    'Users',
    'Teams',
  ])
  t.equal(await page.locator('main button').count(), 0)
  for (const section of ['actions', 'keys', 'environments', 'hosts', 'settings', 'audit', 'nothing']) {
    await page.goto(`${home}/organization/${section}`)
    await reads(page.locator('h2'), 'Not found')
  }
})

await stage.scenario(t, 'on a phone the sections are a menu', async ({ t, page, picture }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto(`${home}/organization/users`)
  await page.getByRole('button', { name: 'Section: Users' }).click()
  t.same(await accessibilityProblems(page), [])
  if (process.env.PICTURES) await picture('org menu phone')
  await page.getByRole('menuitem', { name: 'Environments' }).click()
  await reads(page.locator('h2'), 'Environments')
})
