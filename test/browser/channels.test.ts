/** The outbox that administrators read, Slack connected over its round trip, and the bell. */
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { SlackServer } from '../support/slack-server.js'
import { looks } from './looks.js'
import { gone, isAt, reads, Stage, shown } from './stage.js'

t.setTimeout(300_000)
const slack = await SlackServer.start(t)
const stage = await Stage.open(t, {
  environment: { SLACK_CLIENT_ID: 'the app', SLACK_CLIENT_SECRET: 'the secret', SLACK__URL: slack.url },
})
const seeded = await stage.seed()
const home = `/dashboard/${seeded.organization.slug}`
const section = `${home}/organization/outbox`
const notify = async (to: string, message: string, method?: string): Promise<void> => {
  const response = await fetch(`${stage.server.address}/api/notify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${seeded.liveKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'News', message, deliveryInstructions: [{ to, method }] }),
  })
  t.equal(response.status, 200)
}

await stage.scenario(t, 'without a mail server, what would have been sent is read here', async scenario => {
  const { page, t } = scenario
  await page.goto(section)
  await shown(page.getByText('There are no mails here'))
  await notify('far@example.com', 'it is <b>done</b>')
  const mails = page.getByRole('list', { name: 'Mails' })
  await eventually(
    async () => {
      await page.reload()
      await mails.waitFor({ timeout: 2_000 })
      if (!((await mails.textContent()) ?? '').includes('Not sent')) throw new Error('not swept yet')
    },
    30_000,
    200,
  )
  await page.getByLabel('State').selectOption('Not sent')
  await reads(mails, /NewsTo far@example\.com.*Not sent/)
  await looks(scenario, 'outbox')
  await page.getByRole('button', { name: 'Read News to far@example.com' }).click()
  await reads(page.locator('pre'), /it is <b>done<\/b>/)
  t.equal(await page.locator('pre b').count(), 0)
  t.equal(await page.getByRole('button', { name: 'Send it now' }).count(), 0)
  await looks(scenario, 'outbox reading')
})

await stage.scenario(t, 'Slack is connected, used, and disconnected after asking', async scenario => {
  const { page, t } = scenario
  await page.route(`${slack.url}/oauth/v2/authorize**`, async route => {
    const asked = new URL(route.request().url()).searchParams
    t.equal(asked.get('client_id'), 'the app')
    const back = new URL(asked.get('redirect_uri') ?? '')
    const answer = `${stage.server.address}${back.pathname}?code=the+code&state=${asked.get('state')}`
    await route.fulfill({ status: 302, headers: { location: answer } })
  })
  await page.goto(section)
  await page.getByRole('button', { name: 'Connect Slack' }).click()
  await shown(page.getByText('Connected to Quill & Sons.'))
  await isAt(page, section)
  await looks(scenario, 'slack connected')
  t.equal(await page.getByText('Did not arrive').count(), 0)
  slack.answer = ({ method }) => (method === 'chat.postMessage' ? { error: 'channel_not_found' } : undefined)
  await notify('#nowhere', 'it is done', 'SLACK')
  const failed = page.getByRole('list', { name: 'Did not arrive' })
  await eventually(
    async () => {
      await page.reload()
      await failed.waitFor({ timeout: 2_000 })
    },
    30_000,
    200,
  )
  await reads(failed, /^NewsTo #nowhere by Slack · .*There is no such channel in Slack\.$/)
  await looks(scenario, 'slack failed')
  // The way back opens nothing a second time.
  const state = 'A'.repeat(32)
  const again = await page.request.get(`/api/auth/oauth/slack?code=the+code&state=${state}`)
  t.equal(again.status(), 403)
  await page.getByRole('button', { name: 'Disconnect' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
  await shown(page.getByRole('button', { name: 'Connect Slack' }))
})

await stage.scenario(t, 'the bell tells of news, until one has looked', async scenario => {
  const { page } = scenario
  await notify(seeded.user.email, 'it is done')
  await page.goto(home)
  await page.getByRole('button', { name: 'Notifications, 1 new' }).click()
  await shown(page.getByText('it is done'))
  await looks(scenario, 'bell')
  await page.keyboard.press('Escape')
  await gone(page.getByText('it is done'))
  await page.reload()
  await shown(page.getByRole('button', { name: 'Notifications', exact: true }))
})

await stage.scenario(t, 'the bell is on every live screen, and in no console', async scenario => {
  const { page, t } = scenario
  await notify(seeded.user.email, 'it was heard everywhere')
  for (const path of [home, `${home}/transactions`, section]) {
    await page.goto(path)
    await shown(page.getByRole('button', { name: 'Notifications, 1 new' }))
  }
  await page.setViewportSize({ width: 390, height: 844 })
  await page.getByRole('button', { name: 'Notifications, 1 new' }).click()
  await shown(page.getByText('it was heard everywhere'))
  await looks(scenario, 'bell on a phone')
  await page.goto(`${home}/develop/actions`)
  await shown(page.getByRole('heading', { name: 'Console' }))
  t.equal(await page.getByRole('button', { name: /Notifications/ }).count(), 0)
})
