/**
 * What a person sees when something breaks in the middle: a reload, a killed node, another window, a host that sends
 * nonsense. The host lives in this process and so survives the node; it counts what it is answered.
 */
import type { Page } from 'playwright-core'
import t from 'tap'
import { HostProxy } from '../cluster/host-proxy.js'
import { eventually } from '../support/eventually.js'
import { sdkHost, type TestPromise } from '../support/sdk-host.js'
import { continueButton, gone, isAt, reads, resultOf, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const stage = await Stage.open(t)
const seeded = await stage.seed()
const console_ = `/dashboard/${seeded.organization.slug}/develop/actions`
const lost = 'The connection to Interval was lost.'

/** Answers that the host has seen, and how often it was started, by action. */
const seen = { answers: [] as string[], starts: 0 }

const host = sdkHost('2.0.0', {
  endpoint: stage.server.endpoint,
  apiKey: seeded.developmentKey,
  actions: {
    two_questions: async io => {
      seen.starts += 1
      const first = await io.input.text('First answer')
      seen.answers.push(first)
      const second = await io.input.text('Second answer')
      seen.answers.push(second)
      return { first, second }
    },
    unknown_method: async io => {
      await io.group([io.input.text('A known one'), renamed(io.input.text('A hologram').optional())])
      return 'went on'
    },
    invalid_call: async io => {
      await io.input.text(new Error('not a text') as unknown as string)
    },
    logs: async (_io, ctx) => {
      for (let line = 0; line < 3; line++) await ctx.log('Log number', line)
      await ctx.notify({
        title: 'News',
        message: 'it is done',
        delivery: [{ to: 'ada@example.com', method: 'EMAIL' }],
      })
    },
    select_many: async io => {
      const { select } = io as unknown as {
        select: { table(label: string, props: object): Promise<object[]> }
      }
      const data = Array.from({ length: 620 }, (_, index) => ({ id: index + 1, half: index % 2 }))
      return `${(await select.table('Many', { data })).length} were chosen`
    },
    redirects: async (io, ctx) => {
      await io.input.text('Before the redirect')
      await ctx.redirect({ route: 'two_questions', params: { from: 'redirect' } })
    },
  },
})
await host.listen()
t.teardown(() => host.close())

/** The same component under a method name that nobody knows. */
function renamed<Value>(promise: TestPromise<Value>): TestPromise<Value> {
  const holder = Object.getPrototypeOf(promise) as object
  const getter = Object.getOwnPropertyDescriptor(holder, 'component')?.get
  if (!getter) throw new Error('the SDK keeps its component elsewhere')
  Object.defineProperty(promise, 'component', {
    get() {
      const component = getter.call(promise) as { instance: { methodName: string } }
      component.instance.methodName = 'INPUT_HOLOGRAM'
      return component
    },
  })
  return promise
}

async function start(page: Page, slug: string): Promise<void> {
  seen.answers = []
  seen.starts = 0
  await page.goto(console_)
  await page.locator(`[data-pw-run-slug="${slug}"]`).click()
  await isAt(page, `${console_}/${slug}`)
}

await stage.scenario(t, 'a reload in the middle: the same prompt, the draft kept', async ({ t, page }) => {
  await start(page, 'two_questions')
  await page.getByLabel('First answer').fill('one')
  await continueButton(page).click()
  await page.getByLabel('Second answer').fill('tw')
  await page.reload()
  const field = page.getByLabel('Second answer')
  await shown(field)
  t.equal(await field.inputValue(), 'tw', 'what was typed is there')
  t.equal(await page.getByText('First answer').count(), 0, 'what was answered is not asked again')
  await field.press('End')
  await page.keyboard.type('o')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'firstonesecondtwo')
  t.same(seen, { answers: ['one', 'two'], starts: 1 })
  await page.reload()
  await shown(page.getByLabel('First answer'))
  t.equal(seen.starts, 2, 'a reload after the end starts anew')
})

await stage.scenario(t, 'the node is killed while a prompt waits', async ({ t, page, picture }) => {
  await start(page, 'two_questions')
  await page.getByLabel('First answer').fill('one')
  await continueButton(page).click()
  await page.getByLabel('Second answer').fill('typed bef')
  await stage.server.kill()
  await shown(page.getByText(lost))
  t.equal(await page.getByText(lost).count(), 1)
  await page.getByLabel('Second answer').pressSequentially('ore', { delay: 0 })
  await picture('connection lost')
  await stage.server.run()
  await gone(page.getByText(lost))
  await picture('connected again')
  await eventually(() => {
    if (!host.isConnected) throw new Error('the host is not back')
  })
  const field = page.getByLabel('Second answer')
  t.equal(await field.inputValue(), 'typed before', 'the draft is kept')
  t.equal(await page.getByText('Second answer').count(), 1, 'the prompt is shown once')
  t.equal(await continueButton(page).count(), 1)
  await continueButton(page).click()
  t.equal(await resultOf(page), 'firstonesecondtyped before')
  t.same(seen, { answers: ['one', 'typed before'], starts: 1 })
})

await stage.scenario(
  t,
  'the host is cut off and comes back as itself: the run goes on',
  async ({ t, page, picture }) => {
    const instances = new Set<string>()
    let isAway = false
    const proxy = await HostProxy.start(
      () => Number(new URL(stage.server.address).port),
      ({ host, node, end }) => {
        if (isAway) end()
        return {
          fromHost: data => {
            const [, id] = /x-instance-id: (\S+)/i.exec(data.toString('latin1')) ?? []
            if (id !== undefined) instances.add(id)
            node.write(data)
          },
          fromNode: data => host.write(data),
        }
      },
    )
    t.teardown(() => proxy.close())
    let starts = 0
    const answers: string[] = []
    const distant = sdkHost('2.0.0', {
      endpoint: proxy.endpoint,
      apiKey: seeded.developmentKey,
      actions: {
        far_away: async io => {
          starts += 1
          for (const label of ['First answer', 'Second answer', 'Third answer'])
            answers.push(await io.input.text(label))
          return answers.join(' ')
        },
      },
    })
    await distant.listen()
    t.teardown(() => distant.close())
    await start(page, 'far_away')
    await page.getByLabel('First answer').fill('one')
    await continueButton(page).click()
    await page.getByLabel('Second answer').fill('two')
    const away = page.getByText('The host that runs this is away.')
    t.equal(await away.count(), 0)

    isAway = true
    proxy.cut()
    await shown(away)
    await picture('recovery host away')
    t.equal(await page.getByLabel('Second answer').inputValue(), 'two', 'what is typed stays')
    await continueButton(page).click()
    await shown(page.locator('input:disabled').and(page.getByLabel('Second answer')))
    t.same(answers, ['one'], 'the answer is taken, and kept until the host is back')

    isAway = false
    await shown(page.getByLabel('Third answer'))
    await gone(away)
    await page.getByLabel('Third answer').fill('three')
    await continueButton(page).click()
    t.equal(await resultOf(page), 'one two three')
    t.same([starts, answers], [1, ['one', 'two', 'three']], 'one run, each answer once')
    t.equal(instances.size, 1, 'the same instance')
  },
)

await stage.scenario(t, 'what is pressed while the node is away is sent once', async ({ t, page }) => {
  await start(page, 'two_questions')
  await page.getByLabel('First answer').fill('while away')
  await stage.server.kill()
  await shown(page.getByText(lost))
  await continueButton(page).click()
  t.equal(await continueButton(page).isDisabled(), true, 'a second press is not possible')
  await stage.server.run()
  await page.getByLabel('Second answer').fill('after')
  t.equal(await page.getByText('Second answer').count(), 1, 'the next prompt is shown once')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'firstwhile awaysecondafter')
  t.same(seen, { answers: ['while away', 'after'], starts: 1 })
})

await stage.scenario(
  t,
  'New transaction starts over, in the middle and after the end',
  async ({ t, page }) => {
    await start(page, 'two_questions')
    await page.getByLabel('First answer').fill('dropped')
    const restart = page.locator('button', { hasText: 'New transaction' })
    const isClean = () =>
      eventually(async () => {
        const value = await page.getByLabel('First answer').inputValue({ timeout: 1_000 })
        if (value !== '') throw new Error(`the form is not clean: ${value}`)
      })
    await restart.click()
    await isClean()
    await page.getByLabel('First answer').fill('a')
    await continueButton(page).click()
    await page.getByLabel('Second answer').fill('b')
    await continueButton(page).click()
    t.equal(await resultOf(page), 'firstasecondb')
    t.equal(seen.starts, 2)
    await restart.click()
    // What was answered before is shown until the new run is.
    await gone(page.locator('[data-test-id="result-type"]'))
    await isClean()
    await isAt(page, `${console_}/two_questions`)
  },
)

await stage.scenario(t, 'Cancel leaves to where one came from, and the action ends', async ({ t, page }) => {
  await start(page, 'two_questions')
  await shown(page.getByLabel('First answer'))
  await page.locator('.btn a', { hasText: 'Cancel' }).click()
  await isAt(page, console_)
  await shown(page.locator('[data-pw-actions-list]'))
  t.same(seen.answers, [])
})

await stage.scenario(t, 'two windows: the second takes over, the first says so', async scenario => {
  const { t, page, another, picture } = scenario
  await start(page, 'two_questions')
  await page.getByLabel('First answer').fill('one')
  await continueButton(page).click()
  await page.getByLabel('Second answer').fill('draft')
  const transactionId = await page.evaluate<string>('history.state.transactionId')
  const second = await another()
  await second.page.goto(`/dashboard/${seeded.organization.slug}/develop/transactions/${transactionId}`)
  await shown(second.page.getByLabel('Second answer'))
  await shown(page.getByText('This was opened in another window and goes on there.'))
  t.equal(await page.getByLabel('Second answer').isDisabled(), true)
  t.equal(await continueButton(page).count(), 0)
  await picture('usurped')
  await page.getByRole('button', { name: 'Go on here' }).click()
  await gone(page.getByText('This was opened in another window and goes on there.'))
  await shown(second.page.getByText('This was opened in another window and goes on there.'))
  t.equal(await page.getByLabel('Second answer').inputValue(), 'draft')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'firstoneseconddraft')
})

await stage.scenario(t, 'a method nobody knows: a notice, the rest works', async ({ t, page, picture }) => {
  await start(page, 'unknown_method')
  await reads(page.locator('code', { hasText: 'INPUT_HOLOGRAM' }), 'INPUT_HOLOGRAM')
  await shown(page.getByText('A hologram'))
  await picture('unknown method')
  await page.getByLabel('A known one').fill('x')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'went on')
})

await stage.scenario(t, 'a call that cannot be read is reported once', async ({ t, page, picture }) => {
  await start(page, 'invalid_call')
  const words = page.getByText('Received invalid message from action.')
  await shown(words)
  await picture('invalid call')
  t.equal(await words.count(), 1)
  await start(page, 'logs')
  t.equal(await resultOf(page), '', 'others are unharmed')
})

await stage.scenario(t, 'logs and notifications in the panel', async ({ t, page, picture }) => {
  await start(page, 'logs')
  t.equal(await resultOf(page), '')
  t.equal(await page.locator('[data-test-id="transaction-result"]').count(), 0, 'nothing was returned')
  const panel = page.locator('[data-pw-control-panel]')
  await page.locator('[data-pw-tab-id="Logs"]').click()
  t.equal(await panel.getAttribute('data-pw-selected'), 'Logs')
  t.same(await page.locator('[data-pw-transaction-logs] > div').allTextContents(), [
    'Log number 0',
    'Log number 1',
    'Log number 2',
  ])
  await page.locator('[data-pw-tab-id="Notifications"]').click()
  t.equal(await panel.getAttribute('data-pw-selected'), 'Notifications')
  await shown(panel.getByText('News: it is done'))
  await shown(panel.getByText('Would have sent to ada@example.com via EMAIL'))
  await picture('notifications')
})

await stage.scenario(t, 'all rows are selected, also those the host did not send', async ({ t, page }) => {
  await start(page, 'select_many')
  const table = await shown(page.locator('.iv-table'))
  t.equal(await table.getByText('1 - 20 of 620', { exact: true }).count(), 2)
  await table.locator('input[aria-label="Select all"]').click()
  await shown(table.locator('input[aria-label="Select none"]'))
  t.equal(await table.locator('[role="row"] input:checked').count(), 20)
  await table.locator('[role="row"]').first().locator('[role="cell"]').nth(1).click()
  await shown(table.locator('input[aria-label="Select all"]'))
  await continueButton(page).click()
  t.equal(await resultOf(page), '619 were chosen')
})

await stage.scenario(t, 'a redirect to another action starts it with its parameters', async ({ t, page }) => {
  await start(page, 'redirects')
  await page.getByLabel('Before the redirect').fill('x')
  await continueButton(page).click()
  await isAt(page, `${console_}/two_questions?from=redirect`)
  await shown(page.getByLabel('First answer'))
  t.equal(seen.starts, 1)
})

await stage.scenario(t, 'what is not there, or not one’s own, is not found', async ({ t, page }) => {
  for (const address of [`${console_}/no_such_action`, '/dashboard/another-organization', '/nothing/here']) {
    await page.goto(address)
    await shown(page.getByText('Not found'))
    t.equal(await page.getByText('Not found').count(), 1, address)
  }
})
