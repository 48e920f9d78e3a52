import t from 'tap'
import { AppError } from '../../../../lib/errors.js'
import { Calendar, type ScheduleTimes } from '../../../../lib/timers/schedules/calendar.js'
import { Random } from '../../../sim/random.js'

/** The ticks after an instant, as they are written in Greenwich. */
function ticksAfter(times: ScheduleTimes, from: string, count: number): string[] {
  const calendar = new Calendar(times)
  const ticks: string[] = []
  let atMs: number | null = Date.parse(from)
  while (ticks.length < count) {
    atMs = calendar.next(atMs)
    if (atMs === null) break
    ticks.push(new Date(atMs).toISOString().replace('.000Z', 'Z'))
  }
  return ticks
}

const refusedField = (times: ScheduleTimes): string => {
  try {
    new Calendar(times)
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid-value') {
      return Object.keys(error.fields ?? {}).join()
    }
    throw error
  }
  return 'none'
}

t.test('a time that the clocks skip ticks at the end of the gap', async t => {
  const daily = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' }
  t.same(ticksAfter(daily, '2025-03-29T00:00:00Z', 3), [
    '2025-03-29T01:30:00Z',
    '2025-03-30T01:00:00Z',
    '2025-03-31T00:30:00Z',
  ])
  t.same(ticksAfter({ ...daily, timeZone: 'America/New_York' }, '2025-03-08T12:00:00Z', 2), [
    '2025-03-09T07:00:00Z',
    '2025-03-10T06:30:00Z',
  ])
  // Half an hour is left out: 02:00 to 02:30.
  t.same(ticksAfter({ cron: '15 2 * * *', timeZone: 'Australia/Lord_Howe' }, '2025-10-03T20:00:00Z', 2), [
    '2025-10-04T15:30:00Z',
    '2025-10-05T15:15:00Z',
  ])
})

t.test('what falls together at the end of a gap is one tick', async t => {
  t.same(ticksAfter({ cron: '*/15 2-3 * * *', timeZone: 'Europe/Berlin' }, '2025-03-30T00:00:00Z', 3), [
    '2025-03-30T01:00:00Z',
    '2025-03-30T01:15:00Z',
    '2025-03-30T01:30:00Z',
  ])
})

t.test('a time that is shown twice ticks once, the first time', async t => {
  const daily = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' }
  t.same(ticksAfter(daily, '2025-10-25T12:00:00Z', 2), ['2025-10-26T00:30:00Z', '2025-10-27T01:30:00Z'])
  // Asked in the second hour.
  t.same(ticksAfter(daily, '2025-10-26T01:10:00Z', 1), ['2025-10-27T01:30:00Z'])
  t.same(ticksAfter({ cron: '30,45 1 * * *', timeZone: 'America/New_York' }, '2025-11-02T00:00:00Z', 3), [
    '2025-11-02T05:30:00Z',
    '2025-11-02T05:45:00Z',
    '2025-11-03T06:30:00Z',
  ])
  t.same(ticksAfter({ cron: '45 1 * * *', timeZone: 'Australia/Lord_Howe' }, '2025-04-05T00:00:00Z', 2), [
    '2025-04-05T14:45:00Z',
    '2025-04-06T15:15:00Z',
  ])
})

t.test('every so many minutes goes on through the hour that is shown twice', async t => {
  t.same(ticksAfter({ cron: '*/30 * * * *', timeZone: 'Europe/Berlin' }, '2025-10-26T00:00:00Z', 5), [
    '2025-10-26T00:30:00Z',
    '2025-10-26T01:00:00Z',
    '2025-10-26T01:30:00Z',
    '2025-10-26T02:00:00Z',
    '2025-10-26T02:30:00Z',
  ])
})

t.test('zones that are no whole hours away, and seconds', async t => {
  t.same(ticksAfter({ cron: '0 9 * * MON', timeZone: 'Asia/Kathmandu' }, '2025-06-01T00:00:00Z', 2), [
    '2025-06-02T03:15:00Z',
    '2025-06-09T03:15:00Z',
  ])
  t.same(ticksAfter({ cron: '*/20 * * * * *', timeZone: 'Asia/Kathmandu' }, '2025-06-01T00:00:00.500Z', 3), [
    '2025-06-01T00:00:20Z',
    '2025-06-01T00:00:40Z',
    '2025-06-01T00:01:00Z',
  ])
})

t.test('intervals of hours are lengths of time, intervals of days go by the clock', async t => {
  const anchorMs = Date.parse('2025-03-28T08:00:00Z')
  const berlin = { anchorMs, timeZone: 'Europe/Berlin' }
  t.same(ticksAfter({ every: 24, unit: 'hours', ...berlin }, '2025-03-29T00:00:00Z', 2), [
    '2025-03-29T08:00:00Z',
    '2025-03-30T08:00:00Z',
  ])
  t.same(ticksAfter({ every: 1, unit: 'days', ...berlin }, '2025-03-29T00:00:00Z', 2), [
    '2025-03-29T08:00:00Z',
    '2025-03-30T07:00:00Z',
  ])
  t.same(
    ticksAfter({ every: 45, unit: 'minutes', ...berlin }, '2020-01-01T00:00:00Z', 2),
    ['2025-03-28T08:00:00Z', '2025-03-28T08:45:00Z'],
    'the anchor is the first',
  )
})

t.test('the latest ticks of a long time are found without walking through it', async t => {
  const calendar = new Calendar({ cron: '* * * * * *', timeZone: 'America/New_York' })
  const untilMs = Date.parse('2025-12-01T00:00:00Z')
  const { ticks, isMore, firstMs } = calendar.latest(Date.parse('2025-01-01T00:00:00Z'), untilMs, 100)
  t.equal(isMore, true)
  t.equal(firstMs, Date.parse('2025-01-01T00:00:01Z'))
  t.equal(ticks.at(-1), untilMs)
  t.equal(ticks.length, 100)
  t.equal(ticks[0], untilMs - 99_000)
  t.same(calendar.latest(untilMs, untilMs + 2_500, 100), {
    ticks: [untilMs + 1_000, untilMs + 2_000],
    firstMs: untilMs + 1_000,
    isMore: false,
  })
  t.same(calendar.latest(untilMs, untilMs + 999, 100).ticks, [])
})

t.test('what cannot be understood is refused with its field', async t => {
  const timeZone = 'Europe/Berlin'
  t.equal(refusedField({ cron: '0 9 * * *', timeZone: 'Europe/Bärlin' }), 'timeZone')
  t.equal(refusedField({ cron: '0 9 * * *', timeZone: '+02:00' }), 'timeZone')
  for (const cron of ['', '* * * *', '61 * * * *', '@daily', '0 ? * * *', '* * * * * * 2030', 'x * * * *'])
    t.equal(refusedField({ cron, timeZone }), 'cron', cron)
  t.equal(refusedField({ every: 0, unit: 'days', anchorMs: Date.UTC(2025, 0), timeZone }), 'every')
  t.equal(refusedField({ every: 1.5, unit: 'days', anchorMs: Date.UTC(2025, 0), timeZone }), 'every')
  t.equal(refusedField({ every: 1, unit: 'days', anchorMs: Number.NaN, timeZone }), 'anchor')
})

t.test('what never comes true has no tick, however long the library looks for it', async t => {
  for (const cron of ['0 0 30 2 *', '59 59 23 31 2,4,6,9,11 *', '0 0 31 2,4,6,9,11 *', '0 0 31W 4,6 *'])
    t.equal(new Calendar({ cron, timeZone: 'Europe/Berlin' }).next(Date.UTC(2025, 0)), null, cron)
  const leapMonday = { cron: '59 59 23 29 2 +MON', timeZone: 'Europe/Berlin' }
  t.same(ticksAfter(leapMonday, '2072-01-01T00:00:00Z', 2), ['2072-02-29T22:59:59Z', '2112-02-29T22:59:59Z'])
})

t.test('no text does anything but tick or be refused', async t => {
  const seed = Number(process.env.SIM_SEED ?? Date.now() % 1e9)
  t.comment(`repeat with SIM_SEED=${seed}`)
  const random = new Random(seed)
  let accepted = 0
  const numbers = ['1', '2', '4', '5', '6', '29', '31', '59', '60', '1e9']
  const words = ['*', '*', '*/7', 'L', 'LW', 'W', '5L', '31W', '#', 'MON#5', '1#6', '+1', 'FEB', 'SUN', '?']
  const glue = [',', '-', '/', '#', '', 'W']
  const part = (): string => (random.chance(0.6) ? random.pick(numbers) : random.pick(words))
  const field = (): string => {
    if (random.chance(0.7)) return random.pick(['*', '*/7', '1', '2', '4,6', '5'])
    return random.chance(0.8) ? part() : part() + random.pick(glue) + part()
  }
  for (let count = 0; count < 1_000; count += 1) {
    const cron = Array.from({ length: random.chance(0.5) ? 5 : 6 }, field).join(' ')
    if (refusedField({ cron, timeZone: 'Europe/Berlin' }) !== 'none') continue
    accepted += 1
    const calendar = new Calendar({ cron, timeZone: 'Europe/Berlin' })
    const tick = calendar.next(Date.UTC(2025, 0))
    if (tick !== null && !(tick > Date.UTC(2025, 0))) t.fail(`${cron}: ${tick}`)
  }
  t.ok(accepted > 50, `${accepted} were cron texts`)
})

/** All samples tick at multiples of it. */
const stepMs = 300_000

/** Minutes of a day at which a schedule ticks, for the walk below. */
interface Sample {
  readonly cron: string
  readonly hours: (hour: number) => boolean
  readonly minutes: (minute: number) => boolean
}

const samples: readonly Sample[] = [
  { cron: '30 2 * * *', hours: hour => hour === 2, minutes: minute => minute === 30 },
  {
    cron: '*/10 1-3 * * *',
    hours: hour => hour >= 1 && hour <= 3,
    minutes: minute => minute % 10 === 0,
  },
  { cron: '5 */2 * * *', hours: hour => hour % 2 === 0, minutes: minute => minute === 5 },
  { cron: '*/15 * * * *', hours: () => true, minutes: minute => minute % 15 === 0 },
]

for (const timeZone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu']) {
  t.test(`a year in ${timeZone}, read by other means every five minutes`, async t => {
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      dateStyle: 'short',
      timeStyle: 'short',
      hourCycle: 'h23',
    })
    const fromMs = Date.UTC(2025, 0, 1)
    const untilMs = Date.UTC(2026, 0, 1)
    const walls: number[] = []
    for (let atMs = fromMs; atMs < untilMs; atMs += stepMs) {
      const [, day = '', month = '', year = '', hour = '', minute = ''] =
        /^(\d+)\/(\d+)\/(\d+), (\d+):(\d+)$/.exec(format.format(atMs)) ?? []
      walls.push(Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute)))
    }
    for (const sample of samples) {
      const isTick = (wallMs: number) => {
        const wall = new Date(wallMs)
        return sample.hours(wall.getUTCHours()) && sample.minutes(wall.getUTCMinutes())
      }
      const expected: number[] = []
      let latest = walls[0] ?? 0
      for (const [index, wall] of walls.entries()) {
        // What was jumped over counts now; what was shown before counts only where every hour does.
        let ticks = sample.cron.startsWith('*/15 *') && wall <= latest && isTick(wall)
        for (let passed = latest + stepMs; passed <= wall; passed += stepMs) ticks ||= isTick(passed)
        latest = Math.max(latest, wall)
        if (ticks && index > 0) expected.push(fromMs + index * stepMs)
      }
      const calendar = new Calendar({ cron: sample.cron, timeZone })
      const found: number[] = []
      let tick = calendar.next(fromMs)
      while (tick !== null && tick < untilMs && found.length <= expected.length) {
        found.push(tick)
        tick = calendar.next(tick)
      }
      t.ok(expected.length > 300, `${sample.cron} ticks`)
      t.same(
        found.filter((tick, index) => tick !== expected[index]).map(tick => new Date(tick).toISOString()),
        [],
        `${sample.cron} ticks when it should`,
      )
      t.equal(found.length, expected.length)
    }
  })
}
