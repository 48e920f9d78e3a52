/**
 * Carries notifications to people: one sweep per node that takes what is due. E-mail goes into the outbox, in the same
 * transaction that ends the delivery; Slack is asked at once.
 *
 * Where nothing is said about the way, it is the recipient's own choice; a channel is Slack's. Who prefers Slack in an
 * organization that has none gets a mail. An action in a loop is stopped by a bound per recipient and hour.
 */
import {
  type DueDelivery,
  deliveredWithinAnHour,
  endDelivered,
  endUndelivered,
  type SlackConnections,
  takeDeliveries,
} from '../accounts/index.js'
import type { Database } from '../database/index.js'
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import { enqueueMail, isAddress, notificationLetter } from '../mail/index.js'
import { type Slack, slackLink, slackText } from '../slack/index.js'
import { Sweep, type SweepClock } from '../sweep.js'

const atOnceMax = 8
/** How long a stop waits for what is under way, in ms. */
const stopMsMax = 3_000

export interface NotifierOptions {
  readonly database: Database
  readonly slack: Slack | null
  readonly connections: SlackConnections
  readonly clock: SweepClock
  readonly log: Log
  /** Origin of the dashboard. */
  readonly appUrl: string
  readonly sweepMs?: number
}

export class Notifier {
  readonly #options: NotifierOptions
  readonly #sweep: Sweep

  constructor(options: NotifierOptions) {
    this.#options = options
    const { clock, sweepMs = limits.mailSweepMs } = options
    this.#sweep = new Sweep({ clock, everyMs: sweepMs, round: () => this.#round() })
  }

  start(): void {
    this.#sweep.start()
  }

  /** Takes nothing more; resolves when what is under way has ended, or after a few seconds. */
  async stop(): Promise<void> {
    await this.#sweep.stop(stopMsMax)
  }

  async #round(): Promise<void> {
    const { database, log } = this.#options
    try {
      while (!this.#sweep.isStopped) {
        const due = await takeDeliveries(database, atOnceMax)
        if (due.length === 0) return
        await Promise.all(due.map(delivery => this.#deliver(delivery)))
      }
    } catch (error) {
      log.debug('notifications.not-looked-for', { error })
    }
  }

  /** Never rejects: what could not be written down is due again after the lease. */
  async #deliver(delivery: DueDelivery): Promise<void> {
    const { database, log } = this.#options
    try {
      const failure = await this.#try(delivery)
      if (failure === null) return
      await endUndelivered(database, delivery, failure)
      log.warn('notification.not-delivered', { delivery: delivery.id, ...failure })
    } catch (error) {
      log.warn('notification.not-ended', { delivery: delivery.id, error })
    }
  }

  /** Null when it is delivered. */
  async #try(delivery: DueDelivery): Promise<{ reason: string; isFinal: boolean } | null> {
    const { connections, database, slack } = this.#options
    if ((await deliveredWithinAnHour(database, delivery)) >= limits.notificationsPerHourMax)
      return { reason: 'Too many notifications for this recipient within an hour.', isFinal: true }
    const isChannel = delivery.to.startsWith('#')
    const token = slack && (await connections.token(delivery.organizationId))
    const wished = delivery.method ?? (isChannel ? 'SLACK' : delivery.preferred) ?? 'EMAIL'
    if (wished === 'SLACK' && slack && token) {
      const result = await slack.post(token, delivery.to, this.#slackTextOf(delivery))
      if (result.is === 'sent') {
        await endDelivered(database, delivery)
        return null
      }
      if (result.is === 'gone') await connections.disconnect(delivery.organizationId)
      return { reason: result.reason, isFinal: result.is !== 'later' }
    }
    if (isChannel || delivery.method === 'SLACK')
      return { reason: 'Slack is not connected to this organization.', isFinal: true }
    if (!isAddress(delivery.to)) return { reason: 'This is not an e-mail address.', isFinal: true }
    return await this.#mail(delivery)
  }

  async #mail(delivery: DueDelivery): Promise<{ reason: string; isFinal: boolean } | null> {
    const { url, urlLabel } = this.#linkOf(delivery)
    const { action, message, organization, organizationId, title, to } = delivery
    const letter = notificationLetter({ organization, title, message, action, url, urlLabel })
    try {
      await this.#options.database.transaction(async client => {
        if (!(await endDelivered(client, delivery))) return
        await enqueueMail(client, { ...letter, organizationId, kind: 'notification', to })
      })
      return null
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'unavailable') throw error
      return { reason: error.message, isFinal: !error.kind.retryable }
    }
  }

  #slackTextOf(delivery: DueDelivery): string {
    const { action, message, organization, title } = delivery
    const { url, urlLabel } = this.#linkOf(delivery)
    const head = title === null ? '' : `*${slackText(title).replaceAll('*', '')}*\n`
    const from = slackText(action === null ? organization : `${action} at ${organization}`)
    return `${head}${slackText(message)}\n${slackLink(url, urlLabel)} · ${from}`
  }

  #linkOf({ environment, organizationSlug, transactionId }: DueDelivery): { url: string; urlLabel: string } {
    const suffix = environment === 'production' ? '' : `+${encodeURIComponent(environment)}`
    const home = `${this.#options.appUrl}/dashboard/${encodeURIComponent(organizationSlug)}${suffix}`
    return transactionId === null
      ? { url: home, urlLabel: 'Open the dashboard' }
      : { url: `${home}/transactions/${encodeURIComponent(transactionId)}`, urlLabel: 'Open the run' }
  }
}
