/**
 * Carries the outbox away: one sweep per node that takes what is due and sends it, a few at a time. What waits, waits as
 * rows; the process holds nothing that a restart would lose.
 *
 * What can go wrong: the database goes away between sending and saying so. Saying so is tried again as long as this node
 * holds the mail; after that another node sends it once more, with the same Message-ID.
 */
import type { Queryable } from '../database/index.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import { Sweep, type SweepClock } from '../sweep.js'
import { endSent, endUnsent, forgetOldMails, keepWaiting, type TakenMail, takeMails } from './outbox.js'
import type { MailTransport } from './transport.js'

const forgetEveryMs = 3_600_000
/** How long a stop waits for mails that are being sent, in ms. */
const stopMsMax = 3_000

export interface MailerOptions {
  readonly database: Queryable
  readonly transport: MailTransport | null
  readonly clock: SweepClock
  readonly log: Log
  readonly sweepMs?: number
}

export class Mailer {
  readonly #options: MailerOptions
  readonly #sweep: Sweep
  #forgotAtMs = Number.NEGATIVE_INFINITY
  readonly #underWay = new Set<Promise<void>>()
  /** Attempts of this node since it runs. */
  readonly counters = { sent: 0, failed: 0, retried: 0 }

  constructor(options: MailerOptions) {
    this.#options = options
    const { clock, sweepMs = limits.mailSweepMs } = options
    this.#sweep = new Sweep({ clock, everyMs: sweepMs, round: () => this.#round() })
  }

  start(): void {
    this.#sweep.start()
  }

  /** Takes no more mails; resolves when those being sent are, or after a few seconds. */
  async stop(): Promise<void> {
    await this.#sweep.stop(stopMsMax, () => this.#underWay)
    this.#options.transport?.close()
  }

  async #round(): Promise<void> {
    const { database, log, transport } = this.#options
    try {
      if (performance.now() - this.#forgotAtMs > forgetEveryMs) {
        await forgetOldMails(database)
        this.#forgotAtMs = performance.now()
      }
      if (!transport) {
        await keepWaiting(database)
        return
      }
      while (!this.#sweep.isStopped) {
        const room = limits.mailsAtOnceMax - this.#underWay.size
        if (room === 0) {
          await Promise.race(this.#underWay)
          continue
        }
        const taken = await takeMails(database, room)
        for (const mail of taken) this.#send(transport, mail)
        if (taken.length === 0) return
      }
    } catch (error) {
      log.debug('mails.not-looked-for', { error })
    }
  }

  #send(transport: MailTransport, mail: TakenMail): void {
    const sending = this.#sendOne(transport, mail)
      .catch((error: unknown) => this.#options.log.warn('mail.not-ended', { mail: mail.id, error }))
      .finally(() => this.#underWay.delete(sending))
    this.#underWay.add(sending)
  }

  async #sendOne(transport: MailTransport, mail: TakenMail): Promise<void> {
    const { database, log } = this.#options
    const result = await transport.send(mail)
    const { id, kind, attempt } = mail
    if (result.is === 'sent') {
      await this.#said(() => endSent(database, mail))
      this.counters.sent += 1
      log.info('mail.sent', { mail: id, kind, attempt })
      return
    }
    const { reason } = result
    const status = await this.#said(() =>
      endUnsent(database, mail, { reason, isFinal: result.is === 'refused' }),
    )
    this.counters[status === 'FAILED' ? 'failed' : 'retried'] += 1
    log.warn(status === 'FAILED' ? 'mail.failed' : 'mail.not-sent', { mail: id, kind, attempt, reason })
  }

  /** Writes down how it ended, while the lease lasts. */
  #said<T>(write: () => Promise<T>): Promise<T> {
    return this.#sweep.insist(write, limits.mailLeaseMs - limits.mailSendMsMax)
  }
}
