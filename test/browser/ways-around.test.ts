/**
 * Getting around: the command bar, what has ended long ago, the second step of signing in, questions below the fold, and
 * pages whose host is away. The host lives in this process and so survives the node.
 */
import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { query } from '../cluster/measure.js'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { looks } from './looks.js'
import {
  accessibilityProblems,
  continueButton,
  gone,
  holds,
  isAt,
  reads,
  resultOf,
  Stage,
  shown,
} from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t, { flags: ['--development:tools=true'] })
const seeded = await stage.seed()
const home = `/dashboard/${seeded.organization.slug}`
const lines = Array.from({ length: 60 }, (_, index) => `Line ${index}`).join('\n\n')

/** A host process like any other: a new one each time, as after a deploy. */
async function startHost() {
  const host = sdkHost('2.0.0', {
    endpoint: stage.server.endpoint,
    apiKey: seeded.liveKey,
    actions: {
      greet: async (io, ctx) => {
        const who = await io.input.text('Who')
        await ctx.log('greeting', who)
        return { greeting: `Hello, ${who}` }
      },
      long: async io => {
        await io.input.text('Above')
        await io.display.markdown(lines)
        await io.input.text('Below')
        await io.display.markdown(lines)
        return 'the end'
      },
    },
    pages: {
      overview: async display => ({ title: 'Overview', children: [display.markdown('All is well')] }),
    },
  })
  await host.listen()
  return host
}
let host = await startHost()
t.teardown(() => host.close())

async function counts(locator: Locator, expected: number): Promise<void> {
  await eventually(async () => {
    const count = await locator.count()
    if (count !== expected) throw new Error(`${count} of ${locator}, not ${expected}`)
  })
}

async function isInView(page: Page, selector: string): Promise<void> {
  await eventually(async () => {
    const isVisible = await page.evaluate<boolean>(`(() => {
      const box = document.querySelector(${JSON.stringify(selector)})?.getBoundingClientRect()
      const panel = document.querySelector('[data-pw-control-panel]').getBoundingClientRect()
      return box !== undefined && box.top >= 0 && box.bottom <= panel.top
    })()`)
    if (!isVisible) throw new Error(`${selector} is not in view`)
  })
}

await stage.scenario(
  t,
  'a run opens from the history, also when no node holds it any more',
  async scenario => {
    const { t, page, picture } = scenario
    await page.goto(`${home}/actions/greet`)
    await page.getByLabel('Who').fill('Ada')
    await continueButton(page).click()
    t.equal(await resultOf(page), 'greetingHello, Ada')
    // As it will be when its retention is over: under an id that no partition knows.
    await eventually(async () => {
      const rows = await query(
        stage.server,
        `with copy as (
         insert into transactions select (jsonb_populate_record(transactions, '{"id": "run-of-last-year"}')).*
         from transactions where status = 'COMPLETED' and action_slug = 'greet' returning id
       ) insert into transaction_logs select copy.id, index, text, at, epoch, seq from copy, transaction_logs returning index`,
      )
      if (rows.length === 0) throw new Error('the history is not written yet')
    })
    await page.reload()
    await shown(continueButton(page))
    await page.locator('[data-pw-tab-id="History"]').click()
    const rows = page.getByRole('tabpanel', { name: 'History' }).getByRole('link')
    await counts(rows, 2)
    await reads(rows.first(), /Completed, opens in a new tab$/)
    const address = `${home}/transactions/run-of-last-year`
    const past = rows.and(page.locator(`[href="${address}"]`))
    t.equal(await past.getAttribute('target'), '_blank', 'the present run is not left')
    await picture('history panel')
    await page.goto(address)
    t.equal(await resultOf(page), 'greetingHello, Ada')
    await reads(page.locator('h2'), 'greet')
    await page.locator('[data-pw-tab-id="Logs"]').click()
    await reads(page.locator('[data-pw-transaction-logs]'), 'greeting Ada')
    t.same(await accessibilityProblems(page), [])
    await picture('past run')
    await page.getByRole('button', { name: 'New transaction' }).click()
    await isAt(page, `${home}/actions/greet`)
    await page.goto(`${home}/transactions/run-of-nobody`)
    await shown(page.getByText('Not found'))
  },
)

await stage.scenario(
  t,
  'what comes next is brought into view, and can be typed into at once',
  async scenario => {
    const { t, page, picture } = scenario
    await page.emulateMedia({ reducedMotion: 'reduce' })
    // What is between the two comes late, and takes much room.
    let goOn = () => {}
    const held = new Promise<void>(resolve => {
      goOn = resolve
    })
    await page.route(/markdown-view/, async route => {
      await held
      await route.continue()
    })
    await page.goto(`${home}/actions/long`)
    await page.getByLabel('Above').fill('x')
    await page.keyboard.press('Enter')
    await shown(page.getByLabel('Below'))
    await isInView(page, '[data-pw="continue-button"]')
    goOn()
    await shown(page.getByText('Line 59'))
    await isInView(page, '[data-pw="continue-button"]')
    t.equal(await page.evaluate('document.activeElement.labels[0].textContent'), 'Below')
    await page.emulateMedia({ reducedMotion: 'no-preference' })
    await page.evaluate('window.scrollTo(0, 0)')
    await page.keyboard.type('y')
    await page.keyboard.press('Enter')
    await reads(page.locator('[data-test-id="result-type"]'), 'Completed')
    await isInView(page, '[data-test-id="transaction-result"]')
    await picture('result in view')
  },
)

await stage.scenario(
  t,
  'a restart is simulated: what was typed is kept, and the run goes on',
  async scenario => {
    const { t, page } = scenario
    await page.goto(`${home}/actions/greet`)
    await page.getByLabel('Who').fill('Grace')
    await page.locator('[data-pw-command-bar-toggle]').click()
    const closed = page.waitForEvent('websocket')
    await page
      .locator('[data-pw-command-bar-results] [role="option"]', { hasText: 'Simulate Interval restart' })
      .click()
    // The old one is gone when another is made.
    await closed
    t.equal(await page.getByLabel('Who').inputValue(), 'Grace')
    await continueButton(page).click()
    t.equal(await resultOf(page), 'greetingHello, Grace')
  },
)

await stage.scenario(
  t,
  'an access token is made, shown once, used by a script, and revoked',
  async scenario => {
    const { t, page } = scenario
    await page.goto('/account/tokens')
    await shown(page.getByText('There are no tokens yet.'))
    await page.getByLabel('What it is for').fill('Nightly report')
    await page.getByRole('button', { name: 'Create token' }).click()
    await shown(page.getByText('Nightly report'))
    const token = (await page.locator('[role="status"] code').textContent()) ?? ''
    await looks(scenario, 'access tokens')
    const keys = `${stage.server.address}/api/v1/organizations/${seeded.organization.slug}/keys`
    const asked = async () => (await fetch(keys, { headers: { authorization: `Bearer ${token}` } })).status
    t.equal(await asked(), 200)
    // Nobody waits until it is written that a token was used.
    await eventually(async () => {
      await page.reload()
      await page.getByText(/last used/).waitFor({ timeout: 2_000 })
    })
    t.notOk((await page.content()).includes(token))
    await page.getByRole('button', { name: 'Revoke Nightly report' }).click()
    await page.getByRole('button', { name: 'Revoke the token' }).click()
    await shown(page.getByText('There are no tokens yet.'))
    t.equal(await asked(), 401)
  },
)

await stage.scenario(t, 'a screen that cannot be loaded says so, and can be loaded again', async scenario => {
  const { page, picture } = scenario
  await page.goto('/account')
  await shown(page.getByRole('heading', { name: 'Profile' }))
  await page.route('**/assets/*tokens*', route => route.abort())
  await page.getByRole('link', { name: 'Access tokens' }).click()
  await shown(page.getByText('This screen could not be loaded'))
  await picture('screen not loaded')
  await page.getByRole('button', { name: 'Load again' }).click()
  await shown(page.getByText('This screen could not be loaded'))
  await page.unroute('**/assets/*tokens*')
  await page.getByRole('button', { name: 'Load again' }).click()
  await shown(page.getByRole('heading', { name: 'Access tokens' }))
})

await stage.scenario(t, 'the command bar: found, moved through and chosen by keyboard', async scenario => {
  const { t, page, picture } = scenario
  await page.goto(`${home}/actions/greet`)
  await shown(continueButton(page))
  t.equal(await page.locator('[role="option"]').count(), 0, 'closed, it is not there')
  await page.locator('[data-pw-command-bar-toggle]').click()
  const options = page.locator('[data-pw-command-bar-results] [role="option"]')
  await counts(options, 21)
  await picture('command bar')
  t.same(await accessibilityProblems(page), [])
  await page.keyboard.press('Escape')
  await gone(page.locator('[data-pw-command-bar-results]'))
  await counts(page.locator('[data-pw-command-bar-toggle]:focus'), 1)
  await page.keyboard.press('Control+k')
  await page.keyboard.type('over')
  await counts(options, 1)
  await counts(page.locator('[role="option"][data-active-item]'), 1)
  await page.keyboard.press('Enter')
  await isAt(page, `${home}/actions/overview`)
  await gone(page.locator('[data-pw-command-bar-results]'))
  await page.keyboard.press('Control+k')
  await page.keyboard.type('nothing like it')
  await shown(page.getByText('Nothing fits.'))
})

await stage.scenario(t, 'what is typed before the command bar is there is meant for it', async scenario => {
  const { t, page, picture } = scenario
  const bar = page.locator('[data-pw-command-bar-results]')
  const combobox = page.getByRole('combobox')
  /** The file of the command bar is on its way until `arrive` is called. */
  const visit = async () => {
    let arrive = () => {}
    const isThere = new Promise<void>(resolve => {
      arrive = resolve
    })
    await page.unrouteAll()
    await page.route('**/assets/command-bar*', async route => {
      await isThere
      await route.continue()
    })
    await page.goto(`${home}/actions/greet`)
    const who = await shown(page.getByLabel('Who'))
    await who.fill('A')
    return { who, arrive }
  }
  const first = await visit()
  await page.keyboard.press('Control+k')
  await page.keyboard.type('ovee')
  await page.keyboard.press('Backspace')
  await shown(page.getByRole('dialog', { name: 'Commands' }).getByText('ove', { exact: true }))
  await picture('command bar on its way')
  t.same(await accessibilityProblems(page), [])
  t.equal(await first.who.inputValue(), 'A', 'nothing of it is in the field that had the focus')
  first.arrive()
  await shown(bar)
  await holds(combobox, 'ove')
  await page.keyboard.type('rv')
  // And it goes on behind that.
  await holds(combobox, 'overv')
  await shown(page.locator('[role="option"][data-active-item]', { hasText: 'Overview' }))
  await page.keyboard.press('Escape')
  await gone(bar)
  await page.keyboard.press('Control+k')
  await shown(bar)
  t.equal(await combobox.inputValue(), '', 'opened again it is empty')

  const second = await visit()
  await page.keyboard.press('Control+k')
  await page.keyboard.type('over')
  await page.keyboard.press('Enter')
  second.arrive()
  await isAt(page, `${home}/actions/overview`)
  await gone(bar)

  const third = await visit()
  await page.keyboard.press('Control+k')
  await page.keyboard.type('o')
  await page.keyboard.press('Escape')
  await gone(page.getByRole('dialog', { name: 'Commands' }))
  await page.keyboard.type('da')
  t.equal(await third.who.inputValue(), 'Ada', 'given up: what is typed is in the field again')
  third.arrive()
})

await stage.scenario(
  t,
  'single keys lead where they say, unless one types or has them off',
  async ({ t, page }) => {
    const bar = page.locator('[data-pw-command-bar-results]')
    await page.goto(`${home}/actions/greet`)
    const name = await shown(page.locator('input[type="text"]'))
    await name.fill('')
    await name.pressSequentially('/gh')
    t.equal(await name.inputValue(), '/gh', 'in a field they are letters')
    await isAt(page, `${home}/actions/greet`)
    await page.locator('h2').first().click()
    await page.keyboard.press('/')
    await shown(bar)
    await page.keyboard.type('over')
    await page.keyboard.press('Enter')
    await isAt(page, `${home}/actions/overview`)
    /** Two keys are a pair within a second; who was kept from that for longer presses them again. */
    const lead = (second: string, path: string) =>
      eventually(async () => {
        await page.keyboard.press('g')
        await page.keyboard.press(second)
        await page.waitForURL(stage.server.address + path, { timeout: 2_000 })
      })
    await lead('h', home)
    await lead('s', '/account')
    await page.goto(home)
    await shown(page.locator('[data-pw-actions-list]'))
    const choose = async (label: string) => {
      await page.keyboard.press('Control+k')
      await page.keyboard.type(label)
      await shown(page.locator('[role="option"][data-active-item]', { hasText: label }))
      await page.keyboard.press('Enter')
      await gone(bar)
    }
    await choose('Switch single keys off')
    await page.reload()
    await shown(page.locator('[data-pw-actions-list]'))
    await page.keyboard.press('/')
    await page.keyboard.press('Control+k')
    await shown(bar)
    t.equal(await page.getByRole('combobox').inputValue(), '')
    await page.keyboard.press('Escape')
    await gone(bar)
    await page.keyboard.press('g')
    await page.keyboard.press('s')
    await choose('Switch single keys on')
    await isAt(page, home)
    await page.keyboard.press('/')
    await shown(bar)
  },
)

await stage.scenario(
  t,
  'an open page says that its host is away, also after the node was killed',
  async scenario => {
    const { page, picture } = scenario
    await page.goto(`${home}/actions/overview`)
    await shown(page.getByText('All is well'))
    await stage.server.kill()
    host.close()
    await stage.server.run()
    await shown(page.getByText('The host that serves this is away.'))
    await gone(page.getByText('The connection to Interval was lost.'))
    await gone(page.getByText('Connected again.'))
    await shown(page.getByText('All is well'))
    await picture('page whose host is away')
    host = await startHost()
    await gone(page.getByText('The host that serves this is away.'))
    await shown(page.getByText('All is well'))
  },
)

await stage.scenario(
  t,
  'a second factor is asked after the password',
  async ({ t, page, picture }) => {
    const [email, password] = ['careful@example.com', 'a long enough password']
    const membership = { organizationId: seeded.organization.id, permissions: ['ACTION_RUNNER'] }
    await stage.server.admin('createUser', { email, password, membership })
    const factor = await stage.server.admin<{ recoveryCodes: string[] }>('enrollMfa', { email })
    await page.goto(`${home}/actions/greet`)
    await page.locator('input[name="email"]').fill(email)
    await page.locator('button[type="submit"]').first().click()
    await page.locator('input[name="password"]').fill(password)
    await page.locator('button[type="submit"]').first().click()
    await isAt(page, '/verify-mfa')
    const code = page.locator('input[name="code"]')
    t.equal(await (await shown(code)).getAttribute('inputmode'), 'numeric')
    t.same(await accessibilityProblems(page), [])
    await picture('second factor')
    await page.goto(home)
    await isAt(page, '/verify-mfa')
    await code.fill('000000')
    await page.keyboard.press('Enter')
    await shown(page.getByText('The code is wrong or was used before.'))
    await page.getByRole('button', { name: 'Use a recovery code' }).click()
    await code.fill(factor.recoveryCodes[0] ?? '')
    await page.keyboard.press('Enter')
    await isAt(page, home)
    await shown(page.locator('[data-pw-actions-list]'))
  },
  { signedIn: false },
)
