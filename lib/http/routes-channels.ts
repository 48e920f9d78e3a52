/** How people are reached: the outbox, Slack, and what was sent to oneself. Who may is decided by the accounts. */
import { z } from 'zod'
import { AppError } from '../errors.js'
import { askerOf, checked } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

const statusShape = z.enum(['WAITING', 'SENT', 'FAILED', 'KEPT']).optional()
const seenShape = z.object({ until: z.iso.datetime({ offset: true }) }).strict()
const slackShape = z.object({ code: z.string().min(1).max(1_000), state: z.string().min(1).max(200) })

export function addChannelRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const
  const organization = '/api/v1/organizations/:org'

  http.route(
    'GET',
    `${organization}/channels`,
    {
      ...browser,
      api: {
        tag: 'Notifications',
        summary: 'How people are reached: whether mails are sent, and the Slack workspace',
      },
    },
    async context => {
      return ok(await context.accounts.channels(await askerOf(context)))
    },
  )

  http.route(
    'GET',
    `${organization}/failed-deliveries`,
    {
      ...browser,
      api: { tag: 'Notifications', summary: 'Which of the newest notifications did not arrive, and why' },
    },
    async context => {
      const failed = await context.accounts.failedDeliveries(await askerOf(context))
      return ok(failed, { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'GET',
    `${organization}/mails`,
    { ...browser, api: { tag: 'Notifications', summary: 'The outbox, newest first' } },
    async context => {
      const by = await askerOf(context)
      const given = { status: context.query.get('status') || undefined }
      const { status } = checked(given, z.object({ status: statusShape }))
      const cursor = context.query.get('cursor') ?? undefined
      return ok(await context.accounts.mails(by, { status, cursor }), { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'GET',
    `${organization}/mails/:id`,
    {
      ...browser,
      api: { tag: 'Notifications', summary: 'A mail, with its text as long as it was not sent' },
    },
    async context => {
      const by = await askerOf(context)
      return ok(await context.accounts.mail(by, context.params.id ?? ''), { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'POST',
    `${organization}/mails/:id/send`,
    { ...browser, api: { tag: 'Notifications', summary: 'Sends a mail that has failed or was kept' } },
    async context => {
      await context.accounts.sendMail(await askerOf(context), context.params.id ?? '')
      return ok({})
    },
  )

  http.route(
    'POST',
    `${organization}/slack`,
    { ...browser, api: { tag: 'Notifications', summary: 'Where to go to connect a Slack workspace' } },
    async context => {
      return ok(await context.accounts.connectSlack(await askerOf(context)))
    },
  )

  http.route(
    'DELETE',
    `${organization}/slack`,
    { ...browser, api: { tag: 'Notifications', summary: 'Disconnects the Slack workspace' } },
    async context => {
      await context.accounts.disconnectSlack(await askerOf(context))
      return ok({})
    },
  )

  // Slack sends the browser here. What it brings counts only for the person who has left for there.
  http.route('GET', '/api/auth/oauth/slack', browser, async context => {
    const { user } = await context.signedIn()
    const { query } = context
    if (context.method === 'HEAD') return ok({})
    if (query.get('error') !== null)
      throw new AppError('forbidden', 'Slack was not connected: it was declined there.')
    const answer = checked({ code: query.get('code'), state: query.get('state') }, slackShape)
    const slug = await context.accounts.finishSlack(user.id, answer, context.origin)
    const location = `/dashboard/${encodeURIComponent(slug)}/organization/outbox`
    return { status: 303, headers: { location, 'referrer-policy': 'no-referrer' } }
  })

  http.route(
    'GET',
    `${organization}/notifications`,
    { ...browser, api: { tag: 'Notifications', summary: 'What was sent to you, newest first' } },
    async context => {
      const user = await context.person()
      const notifications = await context.accounts.ownNotifications(user.id, context.params.org ?? '')
      return ok({ notifications }, { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'POST',
    `${organization}/notifications/seen`,
    {
      ...browser,
      api: {
        tag: 'Notifications',
        summary: 'Nothing of what was sent to you and came until then is news any more',
        body: seenShape,
      },
    },
    async context => {
      const user = await context.person()
      const { until } = await context.body()
      await context.accounts.seenNotifications(user.id, context.params.org ?? '', Date.parse(until))
      return ok({})
    },
  )
}
