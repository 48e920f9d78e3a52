/** Puts the schedules of one node together: who runs what, on which host. */
import { type AccountsService, type Actor, ownerOfOrganization } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { type Directories, directoryKey, transactionStart } from '../hosts/index.js'
import type { EntityKey } from '../ids.js'
import { createLog } from '../log.js'
import type { Clock, Partitions } from '../partitions/index.js'
import { type Prepared, type RunToStart, ScheduleRuns, Schedules } from '../timers/schedules/index.js'

export interface NodeSchedulesOptions {
  readonly partitions: Partitions
  readonly accounts: AccountsService
  readonly directories: Directories
  readonly clock: Clock
  /** Origin of the dashboard, for the address of an action. */
  readonly origin: string
}

/** Environments whose hosts are waited for. */
const watchedMax = 1_000

/** Before the partitions start. */
export function openSchedules(options: NodeSchedulesOptions): Schedules {
  const { accounts, clock, partitions } = options
  const log = createLog('interval:schedules')
  const starts = new ScheduleStarts(options)
  const schedules = new Schedules({ runtime: partitions, clock, log, database: accounts.database })
  new ScheduleRuns({
    runtime: partitions,
    log,
    prepare: run => starts.prepare(run),
    isInHistory: async id => (await accounts.placeOfTransaction(id)) !== null,
    isWanted: id => schedules.isWanted(id),
  })
  return schedules
}

class ScheduleStarts {
  readonly #options: NodeSchedulesOptions
  /** Hosts are waited for there; each ends the watch. */
  readonly #watched = new Map<EntityKey, () => void>()
  /** Turns over the hosts of an action. */
  #turn = 0

  constructor(options: NodeSchedulesOptions) {
    this.#options = options
  }

  async prepare(run: RunToStart): Promise<Prepared> {
    const { accounts, directories, origin, partitions } = this.#options
    if (partitions.outboxFull) return { waiting: 'The history cannot take more right now.' }
    const actor = await this.#actor(run)
    if (!actor) return { refused: 'The person it runs as is not in the organization any more.' }
    const key = directoryKey(run.environmentId, null)
    const [view, rules] = await Promise.all([directories.view(key), accounts.accessRules(actor)])
    const offer = view.action(run.action, actor, rules)
    if (!offer && view.has('action', run.action))
      return { refused: 'The person it runs as may not run this action.' }
    if (offer && !offer.definition.backgroundable)
      return { refused: 'The action may not run in the background. Declare it as backgroundable.' }
    this.#turn += 1
    const host = offer?.hosts[this.#turn % Math.max(1, offer.hosts.length)]
    if (!offer || !host) {
      this.#watch(key, run)
      return { waiting: 'No host is connected that serves this action.' }
    }
    const { notifyOnSuccess, params, runId: id, scheduleId } = run
    const start = transactionStart({ id, actor, offer, host, params, origin })
    return { start: { ...start, scheduleId, ...(notifyOnSuccess && { notifyOnSuccess }) } }
  }

  async #actor({ organizationId, place, runner }: RunToStart): Promise<Actor | null> {
    const { accounts } = this.#options
    const userId =
      runner === 'owner'
        ? await ownerOfOrganization(accounts.database, organizationId)
        : (runner?.userId ?? null)
    if (userId === null) return null
    try {
      const actor = await accounts.unattendedActor(userId, place.organization, place.environment)
      // The name may be another organization's by now.
      return actor.organization.id === organizationId ? actor : null
    } catch (error) {
      if (error instanceof AppError && error.code === 'not-found') return null
      throw error
    }
  }

  /** Tries again as soon as a host comes; without this, within half a minute. */
  #watch(key: EntityKey, { environmentId }: RunToStart): void {
    if (this.#watched.has(key) || this.#watched.size >= watchedMax) return
    const { directories, partitions } = this.#options
    const end = directories.watch(key, () => {
      this.#watched.delete(key)
      end()
      partitions.redispatch('schedule-run', environmentId)
    })
    this.#watched.set(key, end)
  }
}
