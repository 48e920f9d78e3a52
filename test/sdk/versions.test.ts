/**
 * Every published SDK version against a real node: connect, run, answer, complete, fail, cancel, drop and resume, pages.
 * The dashboard's side is a wire client; the hosts are the SDKs from npm, unmodified.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Directory, TransactionSnapshot } from '../../lib/clients/wire.js'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { type SdkVersionName, sdkHost, sdkVersions, type TestHost } from '../support/sdk-host.js'
import { type Seeded, TestServer } from '../support/server.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
t.teardown(async () => {
  await server.stop()
  // SDKs go on reconnecting for ever, some even after they were closed.
  setTimeout(() => process.exit(), 500).unref()
})

/** Every version has a slug of its own for each action, so that all can be connected at once. */
function connectHost(version: SdkVersionName, seen: Seen): TestHost {
  const prefix = `v${version.replaceAll('.', '_')}`
  const host = sdkHost(version, {
    endpoint: server.endpoint,
    apiKey: seeded.liveKey,
    actions: {
      [`${prefix}_hello`]: async (io, ctx) => {
        seen.contexts.push({
          ...ctx.user,
          environment: ctx.environment,
          slug: ctx.action?.slug,
          params: ctx.params,
        })
        const name = await io.input.text('Your name')
        const sure = await io.confirm(`Are you ${name}?`)
        await ctx.log('sure', sure)
        return { name, sure }
      },
      [`${prefix}_fail`]: async io => {
        await io.input.text('Before it fails')
        throw new RangeError('on purpose')
      },
      [`${prefix}_long`]: async io => {
        seen.long += 1
        await io.input.text('Never answered')
        return 'answered'
      },
      [`${prefix}_validated`]: async io => {
        const answer = await io.input.text('Only yes').validate(async value => {
          seen.validations += 1
          return value === 'yes' ? undefined : 'Say yes.'
        })
        return answer
      },
      [`${prefix}_show`]: async (io, ctx) => {
        await io.display.heading('First')
        await ctx.loading.start('Working')
        for (let line = 0; line < 3; line++) await ctx.log('line', line)
        await io.display.markdown('Second')
        return 'shown'
      },
    },
    pages: {
      [`${prefix}_page`]: async display => ({
        title: `Page of ${version}`,
        children: [display.heading('On the page')],
      }),
    },
    backgroundable: [`${prefix}_show`],
  })
  return host
}

interface Seen {
  contexts: object[]
  validations: number
  long: number
}

const place = (seededIn: Seeded) => ({ organization: seededIn.organization.slug, environment: 'production' })

async function start(
  browser: BrowserClient,
  slug: string,
  params?: Record<string, string>,
): Promise<TransactionSnapshot> {
  const transactionId = randomUUID()
  return browser.ask('transaction.start', {
    ...place(seeded),
    transactionId,
    slug,
    ...(params && { params }),
  })
}

const only = process.env.TEST_SDK
for (const version of sdkVersions.filter(name => only === undefined || only === name)) {
  t.test(`SDK ${version}`, async t => {
    const prefix = `v${version.replaceAll('.', '_')}`
    const seen: Seen = { contexts: [], validations: 0, long: 0 }
    const host = connectHost(version, seen)
    const browser = await BrowserClient.connect(server.address, cookie)
    t.teardown(() => {
      browser.close()
      host.close()
    })
    const listed = async (): Promise<Directory> => browser.ask('directory.watch', place(seeded))

    await t.test('connects, and its actions are listed as online', async t => {
      await host.listen()
      const directory = await eventually(async () => {
        const now = await listed()
        if (!now.actions.some(action => action.slug === `${prefix}_hello` && action.online))
          throw new Error('not online')
        return now
      })
      t.match(
        directory.actions.find(action => action.slug === `${prefix}_show`),
        { backgroundable: true },
      )
      t.equal(
        directory.pages.some(page => page.slug === `${prefix}_page`),
        version !== '0.21.0',
      )
    })

    await t.test('runs an action to its end', async t => {
      const { transactionId } = await start(browser, `${prefix}_hello`, { from: 'test' })
      await browser.answer(transactionId, await browser.step('Your name', transactionId), ['Ada'])
      await browser.answer(transactionId, await browser.step('Are you Ada?', transactionId), [true])
      const { result } = await browser.event(
        'transaction.completed',
        data => data.transactionId === transactionId,
      )
      t.match(result, { status: 'SUCCESS', data: { name: 'Ada', sure: true } })
      t.match(seen.contexts[0], { email: seeded.user.email, params: { from: 'test' } })
      if (version !== '0.21.0') t.match(seen.contexts[0], { slug: `${prefix}_hello` })
      const { lines } = await browser.event('transaction.logs', data => data.transactionId === transactionId)
      t.match(lines, [{ text: 'sure true' }])
    })

    await t.test('reports how an action failed', async t => {
      const { transactionId } = await start(browser, `${prefix}_fail`)
      await browser.answer(transactionId, await browser.step('Before it fails', transactionId), ['x'])
      const { result } = await browser.event(
        'transaction.completed',
        data => data.transactionId === transactionId,
      )
      t.match(result, { status: 'FAILURE', data: { error: 'RangeError', message: 'on purpose' } })
    })

    await t.test('refuses what is not valid before the host sees it', async t => {
      const { transactionId } = await start(browser, `${prefix}_hello`)
      const step = await browser.step('Your name', transactionId)
      t.match(await refusal(browser.answer(transactionId, step, [null])), {
        code: 'invalid-value',
        fields: { 0: /required/ },
      })
      t.equal((await refusal(browser.answer(transactionId, step, [42]))).code, 'invalid-value')
      t.equal((await refusal(browser.answer(transactionId, step, ['a', 'b']))).code, 'invalid-value')
      await browser.answer(transactionId, step, ['Ada'])
      t.equal((await refusal(browser.answer(transactionId, step, ['Eve']))).code, 'already-answered')
      await browser.ask('transaction.cancel', { transactionId })
    })

    await t.test('displays resolve, logs and loading arrive', async t => {
      const { transactionId, appends } = await start(browser, `${prefix}_show`)
      t.equal(appends, version !== '0.21.0')
      const first = await browser.step('First', transactionId)
      if (!appends) await browser.answer(transactionId, first, [null])
      const second = await browser.step('Second', transactionId)
      if (!appends) await browser.answer(transactionId, second, [null])
      const { result } = await browser.event(
        'transaction.completed',
        data => data.transactionId === transactionId,
      )
      t.match(result, { status: 'SUCCESS', data: 'shown' })
      const lines = browser
        .all('transaction.logs')
        .filter(data => data.transactionId === transactionId)
        .flatMap(data => data.lines.map(line => line.text))
      t.same(lines, ['line 0', 'line 1', 'line 2'])
      await browser.ask('transaction.leave', { transactionId })
    })

    await t.test('cancels a waiting action', async t => {
      const { transactionId } = await start(browser, `${prefix}_long`)
      const step = await browser.step('Never answered', transactionId)
      await browser.ask('transaction.cancel', { transactionId })
      const { result } = await browser.event(
        'transaction.completed',
        data => data.transactionId === transactionId,
      )
      t.equal(result.status, 'CANCELED')
      t.match(
        (await refusal(browser.answer(transactionId, step, ['late']))).code,
        /call-superseded|transaction-closed/,
      )
    })

    await t.test('the node is killed while a prompt waits: all goes on after its restart', async t => {
      const { transactionId } = await start(browser, `${prefix}_hello`)
      const before = await browser.step('Your name', transactionId)
      await server.kill()
      await server.run()
      await browser.reopen()
      const snapshot = await browser.ask('transaction.attach', { transactionId })
      t.equal(snapshot.steps.length, 1)
      t.equal(snapshot.steps[0]?.call.id, before.call.id)
      await eventually(() => {
        if (!host.isConnected) throw new Error('the host is not back')
      }, 30_000)
      await browser.answer(transactionId, before, ['Grace'])
      await browser.answer(transactionId, await browser.step('Are you Grace?', transactionId), [true])
      const { result } = await browser.event(
        'transaction.completed',
        data => data.transactionId === transactionId,
      )
      t.match(result, { status: 'SUCCESS', data: { name: 'Grace' } })
      const renders = browser.all('transaction.render').filter(data => data.transactionId === transactionId)
      const labels = renders.map(data => data.step.call.toRender[0]?.label)
      t.equal(labels.filter(label => label === 'Are you Grace?').length, 1, 'the next prompt was shown once')
    })

    // 0.21.0 has neither validators nor pages.
    if (version === '0.21.0') return
    await t.test('shows what a validator of the action says, and asks again', async t => {
      const { transactionId } = await start(browser, `${prefix}_validated`)
      const first = await browser.step('Only yes', transactionId)
      await browser.answer(transactionId, first, ['no'])
      const { step } = await browser.event(
        'transaction.render',
        data => data.transactionId === transactionId && data.step.call.id !== first.call.id,
      )
      t.equal(step.call.toRender[0]?.validationErrorMessage, 'Say yes.')
      t.equal(step.order, first.order)
      await browser.answer(transactionId, step, ['yes'])
      await browser.event('transaction.completed', data => data.transactionId === transactionId)
      t.equal(seen.validations, 2)
    })

    await t.test('opens and closes a page', async t => {
      const pageKey = randomUUID()
      await eventually(() => browser.ask('page.open', { ...place(seeded), pageKey, slug: `${prefix}_page` }))
      const { layout } = await browser.event(
        'page.render',
        data => data.pageKey === pageKey && data.layout?.title != null,
      )
      t.equal(layout?.title, `Page of ${version}`)
      t.equal(layout?.children?.toRender[0]?.label, 'On the page')
      await browser.ask('page.leave', { pageKey })
      t.equal((await refusal(browser.ask('page.leave', { pageKey }))).code, 'not-found')
    })
  })
}
