/**
 * A year of schedules in three zones, on a disk that crashes: each tick is one run, or one that was skipped and said so.
 * Schedules, transactions and effects are the real ones; hosts, clocks and the disk are not. Runs take up to an hour, hosts
 * are away at times, and the process is killed at any step, for seconds or for hours.
 */
import type { EnvironmentId, InstanceId, OrganizationId, UserId } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import { type Clock, openPartitions, type Partitions, type Timer } from '../../../lib/partitions/index.js'
import {
  Calendar,
  type RunToStart,
  runIdOfTick,
  runsIn,
  type ScheduleDefinition,
  type ScheduleRun,
  ScheduleRuns,
  scheduleKind,
} from '../../../lib/timers/schedules/index.js'
import { type HostCall, type TransactionStart, transactionKind } from '../../../lib/transactions/index.js'
import { FaultDisk, type FaultPlan } from '../partitions/fault-disk.js'
import { Random } from '../random.js'
import { startOf } from '../transaction-model.js'

const fromMs = Date.UTC(2025, 0, 1)
const untilMs = Date.UTC(2026, 0, 1)
const hourMs = 3_600_000
const instanceId = 'host-1' as InstanceId

/**
 * A clock that jumps, as that of a machine which slept: what became due meanwhile happens once, now. A year of timers that
 * wake each second would otherwise be thirty million of each.
 */
class JumpClock implements Clock {
  #nowMs = fromMs
  #timers = new Map<number, { atMs: number; fn: () => void }>()
  #nextId = 0

  nowMs(): number {
    return this.#nowMs
  }

  setTimer(ms: number, fn: () => void): Timer {
    const id = this.#nextId++
    this.#timers.set(id, { atMs: this.#nowMs + Math.max(0, ms), fn })
    return { cancel: () => this.#timers.delete(id) }
  }

  soon(fn: () => void): void {
    setImmediate(fn)
  }

  jumpTo(atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs)
    const due = [...this.#timers].filter(([, timer]) => timer.atMs <= this.#nowMs)
    for (const [id, { fn }] of due) if (this.#timers.delete(id)) fn()
  }

  /** A dead process has no timers. */
  forgetAll(): void {
    this.#timers.clear()
  }
}

type Part = Pick<ScheduleDefinition, 'times' | 'missed' | 'overlap'>

/** Everything that the clocks do is in them: nights, hours that are left out and hours that come twice. */
const parts: Record<string, Part> = {
  'berlin-nightly': part('30 2 * * *', 'Europe/Berlin', 'all', 'queue-one'),
  'berlin-daily': part('10 */6 * * *', 'Europe/Berlin', 'all', 'allow'),
  'new-york-nights': part('30 0-3 * * *', 'America/New_York', 'all', 'allow'),
  'new-york-weekly': part('0 2 * * SUN', 'America/New_York', 'once', 'skip'),
  'lord-howe-nightly': part('15 2 * * *', 'Australia/Lord_Howe', 'once', 'skip'),
  'lord-howe-often': part('*/30 1-2 * * *', 'Australia/Lord_Howe', 'skip', 'queue-one'),
  'lord-howe-days': {
    times: {
      every: 2,
      unit: 'days',
      anchorMs: fromMs + 15.5 * hourMs,
      timeZone: 'Australia/Lord_Howe',
    },
    missed: 'all',
    overlap: 'allow',
  },
}

function part(
  cron: string,
  timeZone: string,
  missed: ScheduleDefinition['missed'],
  overlap: ScheduleDefinition['overlap'],
): Part {
  return { times: { cron, timeZone }, missed, overlap }
}

class Year {
  readonly random: Random
  readonly clock = new JumpClock()
  readonly plan: FaultPlan
  disk: FaultDisk
  partitions: Partitions | undefined
  life = 0
  crashes = 0
  /** Runs as the history has them, by schedule and place. */
  readonly history = new Map<string, Map<number, ScheduleRun>>()
  /** What the host does: when each run ends. */
  readonly running = new Map<string, number>()
  /** Runs the host has been told of, and those it has finished. */
  readonly started = new Set<string>()
  readonly finished = new Set<string>()
  readonly problems: string[] = []
  /** Keys of what was written there. */
  readonly inHistory = new Set<string>()
  /** Until when no host is there. */
  hostAwayUntilMs = 0

  constructor(seed: number) {
    this.random = new Random(seed)
    this.plan = { random: () => this.random.next(), writeFailure: 0, readFailure: 0, readFailed: false }
    this.disk = new FaultDisk(this.plan)
  }

  async open(): Promise<void> {
    this.life += 1
    const { life } = this
    const never = (): Promise<never> => new Promise<never>(() => undefined)
    const partitions = await openPartitions({
      storage: { backend: 'leveldown', path: 'unused' },
      disk: this.disk,
      clock: this.clock,
      random: () => this.random.next(),
      log: silentLog,
    })
    this.partitions = partitions
    partitions.register(scheduleKind())
    partitions.register(transactionKind)
    new ScheduleRuns({
      runtime: partitions,
      log: silentLog,
      prepare: async run => {
        if (life !== this.life) return await never()
        if (this.clock.nowMs() < this.hostAwayUntilMs) return { waiting: 'No host.' }
        return { start: startFor(run) }
      },
      isInHistory: async id => this.inHistory.has(`transaction:${id}`),
      isWanted: async () => true,
    })
    partitions.onEffect('host', {
      dispatch: async effect => {
        if (life !== this.life) return await never()
        const call = effect.payload as unknown as HostCall
        if (call.method !== 'START_TRANSACTION') return
        const id = (call.data as { transactionId: string }).transactionId
        if (this.finished.has(id)) this.problems.push(`${id} is started after it has ended`)
        this.started.add(id)
        if (!this.running.has(id)) {
          const lengthMs = this.random.chance(0.7) ? 20_000 : hourMs
          this.running.set(id, this.clock.nowMs() + this.random.below(lengthMs))
        }
      },
    })
    partitions.setHistoryWriter({
      write: async batch => {
        if (life !== this.life) return await never()
        for (const { key, records } of batch) {
          this.inHistory.add(key)
          const found = runsIn(records)
          if (!found) continue
          const runs = this.history.get(found.scheduleId) ?? new Map()
          for (const run of found.runs) runs.set(run.order, run)
          this.history.set(found.scheduleId, runs)
        }
      },
    })
    await partitions.start()
  }

  /** Killed, and not there for a while. */
  async crash(awayMs: number): Promise<void> {
    this.crashes += 1
    const old = this.partitions
    this.life += 1
    this.disk = new FaultDisk(this.plan, this.disk.crash())
    this.clock.forgetAll()
    void old?.stop({ deadlineMs: 0 }).catch(() => undefined)
    this.clock.forgetAll()
    this.clock.jumpTo(this.clock.nowMs() + awayMs)
    await this.open()
    await this.turns(60)
  }

  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }

  async set(id: string, definition: Part): Promise<void> {
    const whole: ScheduleDefinition = {
      id,
      revision: 1,
      sinceMs: fromMs,
      organizationId: 'organization-1' as OrganizationId,
      environmentId: 'environment-1' as EnvironmentId,
      place: { organization: 'acme', environment: 'production' },
      action: 'clean-up',
      params: {},
      runner: { userId: 'person-1' as UserId },
      paused: false,
      ...definition,
    }
    await this.partitions?.send(`schedule:${id}`, { type: 'set', definition: whole })
  }

  /** Ends what is to end by now; the host says so until it is heard. */
  endRuns(): void {
    const { life } = this
    for (const [id, endAtMs] of this.running) {
      if (endAtMs > this.clock.nowMs()) continue
      const message = { type: 'complete', instanceId, status: 'SUCCESS', data: null }
      this.partitions
        ?.send(`transaction:${id}`, message)
        .then(() => {
          if (life !== this.life) return
          this.running.delete(id)
          this.finished.add(id)
        })
        .catch(() => undefined)
    }
  }

  nextEnd(): number {
    let first = Number.POSITIVE_INFINITY
    for (const endAtMs of this.running.values()) first = Math.min(first, endAtMs)
    return first
  }
}

function startFor(run: RunToStart): TransactionStart {
  return {
    ...startOf(),
    id: run.runId,
    instanceId,
    slug: run.action,
    backgroundable: true,
    scheduleId: run.scheduleId,
  }
}

/** Goes through the year, from one moment at which something happens to the next. */
async function liveThrough(year: Year): Promise<void> {
  const calendars = Object.values(parts).map(({ times }) => new Calendar(times))
  let crashAtMs = fromMs + year.random.below(4 * 24 * hourMs)
  while (year.clock.nowMs() < untilMs + 2 * hourMs) {
    const nowMs = year.clock.nowMs()
    const ticks = calendars.map(calendar => calendar.next(nowMs) ?? Number.POSITIVE_INFINITY)
    const nextMs = Math.max(nowMs + 1, Math.min(...ticks, year.nextEnd(), nowMs + hourMs))
    if (year.random.chance(0.01)) year.hostAwayUntilMs = nextMs + year.random.below(20 * 60_000)
    if (nowMs < crashAtMs || nextMs > untilMs) {
      year.clock.jumpTo(nextMs)
      year.endRuns()
      await year.turns(24)
      // What is tried again after a moment.
      for (let again = 0; again < 2; again += 1) {
        year.clock.jumpTo(year.clock.nowMs() + 500)
        await year.turns(8)
      }
      continue
    }
    // In the middle of what the next moment brings.
    year.clock.jumpTo(nextMs)
    year.endRuns()
    await year.turns(year.random.below(24))
    await year.crash(year.random.chance(0.6) ? year.random.below(50_000) : year.random.below(8 * hourMs))
    crashAtMs = year.clock.nowMs() + year.random.below(4 * 24 * hourMs)
  }
}

/** Hosts were away for too long; or everything was, and what is missed is to be skipped. */
function isExcused({ details }: ScheduleRun, missed: ScheduleDefinition['missed']): boolean {
  return details === 'No host.' || (missed === 'skip' && details === 'It could not be started in time.')
}

/** Every tick has one entry; those that ran have run once. */
function check(year: Year): { ticks: number; runs: number; skipped: number } {
  const counts = { ticks: 0, runs: 0, skipped: 0 }
  const known = new Set<string>()
  for (const [id, { times, missed }] of Object.entries(parts)) {
    const calendar = new Calendar(times)
    const entries = [...(year.history.get(id)?.values() ?? [])].sort((one, other) => one.order - other.order)
    const runs = new Map(entries.filter(run => run.status !== 'SKIPPED').map(run => [run.dueAtMs, run]))
    const skips = entries.filter(run => run.status === 'SKIPPED')
    if (runs.size + skips.length !== entries.length) year.problems.push(`${id} has two runs of one tick`)
    let ticks = 0
    for (let tick = calendar.next(fromMs); tick !== null && tick <= untilMs; tick = calendar.next(tick)) {
      counts.ticks += 1
      ticks += 1
      const run = runs.get(tick)
      const at = `${id} ${new Date(tick).toISOString()}`
      const skipped = skips.filter(({ dueAtMs, lastDueAtMs }) => dueAtMs <= tick && tick <= lastDueAtMs)
      if (run && skipped.some(skip => skip.dueAtMs === tick || skip.lastDueAtMs === tick))
        year.problems.push(`${at} is run and skipped`)
      if (!run && skipped.length !== 1) year.problems.push(`${at} is in ${skipped.length} entries`)
      if (!run) {
        counts.skipped += 1
        if (missed === 'all' && !/^(The run before|Another one)/.test(skipped[0]?.details ?? ''))
          year.problems.push(`${at} was missed: ${skipped[0]?.details}`)
        continue
      }
      known.add(run.id)
      if (run.id !== runIdOfTick(id, tick)) year.problems.push(`${at} has another id`)
      if (run.status === 'SUCCESS') {
        counts.runs += 1
        if (!year.started.has(run.id)) year.problems.push(`${at} has never run`)
      } else if (run.status === 'FAILURE' && isExcused(run, missed)) {
        if (year.started.has(run.id)) year.problems.push(`${at} was run though it had failed`)
      } else year.problems.push(`${at} ends as ${run.status}: ${run.details}`)
    }
    const taken = entries.filter(({ dueAtMs }) => dueAtMs <= untilMs)
    const takenTicks = taken.reduce((sum, run) => sum + run.ticks, 0)
    const isWhole = (taken.at(-1)?.lastDueAtMs ?? 0) <= untilMs
    if (isWhole && takenTicks !== ticks) year.problems.push(`${id} took ${takenTicks} ticks of ${ticks}`)
  }
  for (const entries of year.history.values()) for (const { id } of entries.values()) known.add(id)
  for (const id of year.started) if (!known.has(id)) year.problems.push(`${id} belongs to no tick`)
  return counts
}

/** What a year has come to. */
export interface YearReport {
  readonly ticks: number
  readonly runs: number
  readonly skipped: number
  readonly crashes: number
  /** Days in Berlin with a nightly entry, counted by another reading of the clocks. */
  readonly nights: number
  readonly problems: readonly string[]
}

/** Lives through one year. */
export async function runYear(seed: number): Promise<YearReport> {
  const year = new Year(seed)
  await year.open()
  for (const [id, definition] of Object.entries(parts)) await year.set(id, definition)
  await liveThrough(year)
  const counts = check(year)
  await year.partitions?.stop({ deadlineMs: 0 })
  const walls = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', dateStyle: 'short' })
  const nights = new Set<string>()
  for (const run of year.history.get('berlin-nightly')?.values() ?? []) {
    if (run.dueAtMs <= untilMs) nights.add(walls.format(run.dueAtMs))
    if (run.lastDueAtMs <= untilMs) nights.add(walls.format(run.lastDueAtMs))
  }
  return { ...counts, crashes: year.crashes, nights: nights.size, problems: year.problems.slice(0, 5) }
}
