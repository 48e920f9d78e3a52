/**
 * Carries notifications to people: each node takes what is due. E-mail goes into the outbox, in the same transaction that
 * ends the delivery; Slack is asked at once. Each way has a sweep of its own, so that mails go while Slack hangs.
 *
 * Where nothing is said about the way, it is the recipient's own choice; a channel is Slack's. Who prefers Slack and
 * cannot be reached there gets a mail. An action in a loop is stopped by a bound per recipient and hour.
 */
import {
  type DueDelivery,
  deliveredWithinAnHour,
  endDelivered,
  endUndelivered,
  type NotificationMethod,
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
/** How long a node may take to write down that Slack has a message, in ms: asking Slack and this fit into the lease. */
const saidMsMax = 20_000
/** How long a stop waits for what is under way, in ms. */
const stopMsMax = 3_000

interface Failure {
  readonly reason: string
  readonly isFinal: boolean
}

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
  readonly #lanes: readonly Sweep[]
  /** Attempts of this node since it runs; one by mail is delivered when the mail is in the outbox. */
  readonly counters = { delivered: 0, failed: 0, retried: 0 }

  constructor(options: NotifierOptions) {
    this.#options = options
    const { clock, sweepMs = limits.mailSweepMs } = options
    this.#lanes = (['EMAIL', 'SLACK'] as const).map(way => {
      const lane: Sweep = new Sweep({ clock, everyMs: sweepMs, round: () => this.#round(lane, way) })
      return lane
    })
  }

  start(): void {
    for (const lane of this.#lanes) lane.start()
  }

  /** Takes nothing more; resolves when what is under way has ended, or after a few seconds. */
  async stop(): Promise<void> {
    await Promise.all(this.#lanes.map(lane => lane.stop(stopMsMax)))
  }

  async #round(lane: Sweep, way: NotificationMethod): Promise<void> {
    const { database, log } = this.#options
    try {
      while (!lane.isStopped) {
        const due = await takeDeliveries(database, way, atOnceMax)
        if (due.length === 0) return
        await Promise.all(due.map(delivery => this.#deliver(lane, delivery)))
      }
    } catch (error) {
      log.debug('notifications.not-looked-for', { error })
    }
  }

  /** Never rejects: what could not be written down is due again after the lease. */
  async #deliver(lane: Sweep, delivery: DueDelivery): Promise<void> {
    const { database, log } = this.#options
    try {
      const failure = await this.#try(lane, delivery).catch((error: unknown): Failure => {
        if (error instanceof AppError && error.kind.retryable) throw error
        // Ours to mend, and no reason to try it for ever.
        log.error('notification.failed', { delivery: delivery.id, error })
        return { reason: 'Something went wrong on this server.', isFinal: false }
      })
      if (failure === null) {
        this.counters.delivered += 1
        return
      }
      const status = await endUndelivered(database, delivery, failure)
      this.counters[status === 'FAILED' ? 'failed' : 'retried'] += 1
      log.warn('notification.not-delivered', { delivery: delivery.id, ...failure })
    } catch (error) {
      log.warn('notification.not-ended', { delivery: delivery.id, error })
    }
  }

  /** Null when it is delivered. */
  async #try(lane: Sweep, delivery: DueDelivery): Promise<Failure | null> {
    if ((await deliveredWithinAnHour(this.#options.database, delivery)) >= limits.notificationsPerHourMax)
      return { reason: 'Too many notifications for this recipient within an hour.', isFinal: true }
    const isChannel = delivery.to.startsWith('#')
    const wished = delivery.method ?? (isChannel ? 'SLACK' : delivery.preferred) ?? 'EMAIL'
    if (wished === 'SLACK') {
      const failure = await this.#post(lane, delivery)
      const isOnlyPreferred = delivery.method === null && !isChannel
      if (failure === null || !failure.isFinal || !isOnlyPreferred) return failure
    }
    if (!isAddress(delivery.to)) return { reason: 'This is not an email address.', isFinal: true }
    return await this.#mail(delivery)
  }

  async #post(lane: Sweep, delivery: DueDelivery): Promise<Failure | null> {
    const { connections, database, slack } = this.#options
    const token = slack && (await connections.token(delivery.organizationId))
    if (!slack || !token) return { reason: 'Slack is not connected to this organization.', isFinal: true }
    const result = await slack.post(token, delivery.to, this.#slackTextOf(delivery))
    if (result.is === 'sent') {
      await lane.insist(() => endDelivered(database, delivery), saidMsMax)
      return null
    }
    // Somebody may have connected another workspace meanwhile.
    if (result.is === 'gone') await connections.disconnect(delivery.organizationId, token)
    return { reason: result.reason, isFinal: result.is !== 'later' }
  }

  async #mail(delivery: DueDelivery): Promise<Failure | null> {
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
