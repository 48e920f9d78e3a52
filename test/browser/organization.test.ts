/**
 * The people of an organization as its administrator works with them: members and invitations, teams, settings, the audit
 * log; and what is left of these for others. `organization-work.test.ts` has the rest.
 */
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { looks } from './looks.js'
import { organizationStage } from './organization-stage.js'
import { accessibilityProblems, gone, isAt, reads, shown } from './stage.js'

t.setTimeout(300_000)
const { home, member, seeded, server, stage } = await organizationStage(t)

await stage.scenario(t, 'teams: added, filled, renamed', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/teams`)
  await reads(page.locator('h2'), 'Teams')
  await shown(page.getByText('There are no teams yet.'))
  await looks({ t, page, picture }, 'org teams empty')
  for (const name of ['Finance', 'Support']) {
    await page.goto(`${home}/organization/teams`)
    await page.getByRole('button', { name: 'Add team' }).click()
    await page.getByRole('textbox', { name: 'Name' }).fill(name)
    await page.getByLabel('Slug').fill('not a slug')
    await page.keyboard.press('Enter')
    await shown(page.locator('#input-slug-error'))
    t.equal(await page.evaluate('document.activeElement?.name'), 'slug', 'the caret is where the mistake is')
    if (name === 'Finance') await looks({ t, page, picture }, 'org team form')
    await page.getByLabel('Slug').fill('')
    await page.keyboard.press('Enter')
    await reads(page.locator('h2'), name)
  }
  await page.getByLabel('Add somebody').fill('bea')
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByRole('button', { name: 'Add Bea Quill to the team' }).click()
  await reads(page.locator('main [role="status"]').first(), 'Bea Quill is in the team now.')
  await looks({ t, page, picture }, 'org team')
  await page.getByRole('button', { name: 'Rename' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('First line')
  await page.getByRole('button', { name: 'Save' }).click()
  await reads(page.locator('h2'), 'First line')
  await page.locator('main').getByRole('link', { name: 'Teams', exact: true }).click()
  await isAt(page, `${home}/organization/teams`)
  await shown(page.getByRole('list', { name: 'Teams' }).getByText('1 member'))
  await looks({ t, page, picture }, 'org teams')
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
  await looks({ t, page, picture }, 'org user form')
  await page.locator('button[type="submit"]', { hasText: 'Add user' }).click()
  await shown(page.getByText('An invitation was sent to guest@example.com.'))
  await gone(page.locator('select[name="role"]'))
  const stored = await server.admin<{ id: string; permissions: string[]; groupIds: string[] }>(
    'findInvitation',
    { email: 'guest@example.com' },
  )
  t.match(stored, { permissions: ['DEVELOPER'] })
  t.equal(stored.groupIds.length, 1)
  const waiting = page.locator('li', { hasText: 'guest@example.com' })
  await reads(waiting.locator('p').nth(1), /^Developer, Finance · until /)
  await looks({ t, page, picture }, 'org users')

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
  await looks({ t, page, picture }, 'org user edit')
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(page.getByText('Cid Quill was changed.'))
  await reads(rows.first(), /Cid Quillcid@example.comFinanceDeveloper/)
  await page.getByRole('button', { name: 'Remove Cid Quill' }).click()
  await shown(page.getByRole('dialog'))
  await looks({ t, page, picture }, 'org user removal')
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

await stage.scenario(t, 'settings: name, address, owner', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/settings`)
  await reads(page.locator('h2'), 'Settings')
  await looks({ t, page, picture }, 'org settings')
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
  await looks({ t, page, picture }, 'org owner form')
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
  await looks({ t, page, picture }, 'org audit')
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
  const [name = '', value = ''] = (await server.signIn('dot@example.com', seeded.password)).split(/=(.*)/s)
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
  await picture('org menu phone')
  await page.getByRole('menuitem', { name: 'Environments' }).click()
  await reads(page.locator('h2'), 'Environments')
})
