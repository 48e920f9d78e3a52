/** The dashboard's first screen: what waits for somebody, what goes on in the background, who may decide about it. */
import { createRequire } from 'node:module'
import t from 'tap'
import type { TestContext, TestIo } from '../support/sdk-host.js'
import { looks } from './looks.js'
import { continueButton, gone, isAt, reads, resultOf, Stage, shown } from './stage.js'

t.setTimeout(300_000)

interface SdkInterval {
  listen(): Promise<void>
  immediatelyClose(): void
  enqueue(slug: string, options?: object): Promise<{ id: string }>
  readonly routes: { add(slug: string, handler: () => Promise<unknown>): void; remove(slug: string): void }
}
const { default: Interval, Action } = createRequire(import.meta.url)('@interval/sdk') as {
  default: new (config: object) => SdkInterval
  Action: new (config: object) => object
}

const stage = await Stage.open(t)
const seeded = await stage.seed()
await stage.server.admin('createUser', {
  email: 'runner@example.com',
  password: seeded.password,
  membership: { organizationId: seeded.organization.id, permissions: ['ACTION_RUNNER'] },
})
const home = `/dashboard/${seeded.organization.slug}`

const twoQuestions = async (io: TestIo) => {
  const first = await io.input.text('First answer')
  const second = await io.input.text('Second answer')
  return { first, second }
}
const interval = new Interval({
  apiKey: seeded.liveKey,
  endpoint: stage.server.endpoint,
  logLevel: 'quiet',
  routes: {
    waits: async (_io: TestIo, ctx: TestContext) => {
      const { at, text } = ctx.params as { at?: Date; text?: string }
      return { text: text ?? 'nothing', at: at?.getUTCFullYear?.() ?? 'nothing' }
    },
    in_background: new Action({ backgroundable: true, handler: twoQuestions }),
    in_front: new Action({ backgroundable: false, handler: twoQuestions }),
  },
})
await interval.listen()

await stage.scenario(
  t,
  'what was put into the queue is run by a click, with its parameters',
  async scenario => {
    const { page, t } = scenario
    const at = new Date('2031-02-03T04:05:06.789Z')
    await interval.enqueue('waits', { assignee: seeded.user.email, params: { text: 'from afar', at } })
    await page.goto(home)
    const item = page.locator('[data-pw-queued-action-slug="waits"] a')
    await shown(item)
    await gone(page.getByText('Continue'))
    await looks(scenario, 'home with a queue')
    await item.click()
    await isAt(page, `${home}/actions/waits`)
    t.equal(await resultOf(page), 'textfrom afarat2,031')
    // A reload after the end is a new run, of the action alone.
    await page.reload()
    t.equal(await resultOf(page), 'textnothingatnothing')
    await page.goto(home)
    await shown(page.locator('[data-pw-actions-list]'))
    await gone(item)
  },
)

await stage.scenario(t, 'a run in the background is gone on with where it waits', async scenario => {
  const { page, t } = scenario
  await page.goto(home)
  await page.locator('[data-pw-run-slug="in_background"]').click()
  await page.getByLabel('First answer').fill('one')
  await continueButton(page).click()
  await shown(page.getByText('Second answer'))
  await page.goto(home)
  const go = await shown(page.getByText('Continue'))
  await looks(scenario, 'home with a run')
  await go.click()
  await shown(page.getByText('Second answer'))
  await page.locator('input[type="text"]').first().fill('two')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'firstonesecondtwo')
  await page.goto(home)
  await gone(page.getByText('Continue'))
})

await stage.scenario(t, 'a run in the background is cancelled after asking', async scenario => {
  const { page } = scenario
  await page.goto(home)
  await page.locator('[data-pw-run-slug="in_background"]').click()
  await shown(page.getByText('First answer'))
  await page.goto(home)
  await shown(page.getByText('Continue'))
  await page.getByRole('button', { name: 'Cancel in_background' }).click()
  await looks(scenario, 'home cancel')
  await page.getByRole('button', { name: 'Cancel the run' }).click()
  await gone(page.getByText('Continue'))
  await page.reload()
  await shown(page.locator('[data-pw-actions-list]'))
  await gone(page.getByText('Continue'))
})

await stage.scenario(t, 'what may not run in the background is not offered again', async ({ page }) => {
  await page.goto(home)
  await page.locator('[data-pw-run-slug="in_front"]').click()
  await shown(page.getByText('First answer'))
  await page.getByText('Cancel').click()
  await isAt(page, home)
  await shown(page.locator('[data-pw-actions-list]'))
  await gone(page.getByText('Continue'))
})

await stage.scenario(
  t,
  'managers give what waits to others, or dismiss it; others cannot',
  async scenario => {
    const { context, page, t } = scenario
    await interval.enqueue('waits', { params: { text: 'for anybody' } })
    await page.goto(home)
    const item = await shown(page.locator('[data-pw-queued-action-slug="waits"]'))
    await reads(item, /For anybody/)
    await page.getByRole('button', { name: 'Options for waits' }).click()
    await page.getByRole('menuitem', { name: 'Give to somebody…' }).click()
    await page.getByLabel('Address of a member').fill('nobody@example.com')
    await page.keyboard.press('Enter')
    await shown(page.getByText('The assignee is not a member of this organization.'))
    await looks(scenario, 'home assign')
    await page.getByLabel('Address of a member').fill('runner@example.com')
    await page.keyboard.press('Enter')
    await gone(item)
    // Who decides about it sees it still, and may take it back, but not start it.
    const others = page.getByRole('region', { name: 'Queue of others' })
    await reads(await shown(others.getByRole('listitem')), /waitsFor runner@example\.com/)
    t.equal(await others.getByRole('link').count(), 0)
    await looks(scenario, 'home queue of others')
    await page.getByRole('button', { name: 'Options for waits' }).click()
    await page.getByRole('menuitem', { name: 'Give to somebody…' }).click()
    await page.getByRole('button', { name: 'Give it' }).click()
    await shown(page.getByText('Enter the address of a member.'))
    await page.route('**/queue/*', route => route.fulfill({ status: 503, json: { message: 'Not now.' } }))
    await page.getByRole('button', { name: 'For anybody' }).click()
    await shown(page.getByText('Not now.'))
    await gone(page.getByText('Enter the address of a member.'))
    await page.unroute('**/queue/*')
    await page.keyboard.press('Escape')

    const cookie = await stage.server.signIn('runner@example.com', seeded.password)
    const [name = '', value = ''] = cookie.split(/=(.*)/s)
    await context.addCookies([{ name, value, url: stage.server.address }])
    await page.goto(home)
    await reads(await shown(item), /For you/)
    t.equal(await page.getByRole('button', { name: 'Options for waits' }).count(), 0)
    t.equal(await page.getByText('Queue of others').count(), 0)
    await item.locator('a').click()
    t.equal(await resultOf(page), 'textfor anybodyatnothing')
  },
)

await stage.scenario(t, 'what is dismissed is gone', async ({ page }) => {
  await interval.enqueue('waits', { assignee: seeded.user.email })
  await page.goto(home)
  await page.getByRole('button', { name: 'Options for waits' }).click()
  await page.getByRole('menuitem', { name: 'Dismiss…' }).click()
  await page.getByRole('button', { name: 'Dismiss it' }).click()
  await gone(page.locator('[data-pw-queued-action-slug="waits"]'))
})

await stage.scenario(
  t,
  'the list follows its hosts: what comes, what goes, who is away',
  async ({ t, page }) => {
    const host = new Interval({
      apiKey: seeded.liveKey,
      endpoint: stage.server.endpoint,
      logLevel: 'quiet',
      routes: { stays: async () => 'here', asks: async (io: TestIo) => await io.input.text('Still there') },
    })
    await host.listen()
    await page.goto(home)
    const entry = (slug: string) => page.locator(`[data-pw-run-slug="${slug}"]`)
    await shown(entry('stays'))
    host.routes.add('comes', async () => 'came')
    await shown(entry('comes'))
    await entry('comes').click()
    t.equal(await resultOf(page), 'came')
    await page.goto(home)
    host.routes.remove('comes')
    await gone(page.getByText('comes', { exact: true }))
    await shown(entry('stays'))
    host.immediatelyClose()
    await shown(page.locator('li', { hasText: 'stays' }).getByText('Offline'))
    t.equal(await entry('stays').count(), 0, 'nothing to click where no host is')
  },
)
