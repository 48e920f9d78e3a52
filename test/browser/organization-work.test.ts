/**
 * Where an organization runs its actions and who may: environments, keys, access to actions and pages, serverless hosts,
 * as its administrator works with them and as others see them.
 */
import t from 'tap'
import { RawHost } from '../cluster/raw-socket.js'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { looks } from './looks.js'
import { organizationStage } from './organization-stage.js'
import { gone, isAt, reads, shown } from './stage.js'

t.setTimeout(300_000)
const { home, seeded, server, stage } = await organizationStage(t)
const organizationId = seeded.organization.id
await server.admin('createGroup', { organizationId, slug: 'finance', name: 'Finance' })

await stage.scenario(t, 'environments: added, changed, deleted', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/environments`)
  await page.getByRole('button', { name: 'Add environment' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Staging')
  await page.getByText('purple').click()
  await looks({ t, page, picture }, 'org environment form')
  await page.keyboard.press('Enter')
  await shown(page.getByText('Staging was added.'))
  await page.getByRole('button', { name: 'Edit Staging' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Stage')
  await page.getByRole('button', { name: 'Save' }).click()
  await shown(page.getByText('Stage was changed.'))
  await looks({ t, page, picture }, 'org environments')
  await page.getByRole('link', { name: 'Stage' }).click()
  await isAt(page, `${home}+staging`)
  await page.goto(`${home}/organization/environments`)
  await page.getByRole('button', { name: 'Delete Stage' }).click()
  await page.getByRole('button', { name: 'Delete the environment' }).click()
  await shown(page.getByText('Stage was deleted.'))
  await page.goto(`${home}+staging`)
  await shown(page.getByRole('heading', { name: 'Not found' }))
})

await stage.scenario(t, 'keys by environment and role', async ({ t, page, picture }) => {
  await page.goto(`${home}/organization/keys`)
  await reads(page.locator('h2'), 'Keys')
  await page.getByLabel('Label').fill('Nightly')
  await page.getByLabel('For').selectOption('production')
  await page.getByRole('button', { name: 'Create key' }).click()
  await shown(page.locator('[role="status"] code'))
  await looks({ t, page, picture }, 'org keys')
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
  await looks({ t, page, picture }, 'org actions')

  const live = await another()
  await live.page.goto(home)
  await shown(live.page.locator('[data-pw-run-slug="refund"]'))
  await page.getByRole('button', { name: 'Access to refund' }).click()
  await page.getByLabel('Open to').selectOption('GROUPS')
  await page.getByLabel('Finance').selectOption('RUNNER')
  await looks({ t, page, picture }, 'org access form')
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
  await looks({ t, page, picture }, 'org action form')
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
    await looks({ t, page, picture }, 'org forbidden page')
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
  await looks({ t, page, picture }, 'org hosts')
  await page.getByRole('button', { name: 'Check now: https://host.example/interval' }).click()
  await shown(page.locator('[role="alert"]', { hasText: 'did not answer' }))
  await page.getByRole('button', { name: 'Remove https://host.example/interval' }).click()
  await page.getByRole('button', { name: 'Remove the host' }).click()
  await shown(page.getByText('There are no serverless hosts.'))
})
