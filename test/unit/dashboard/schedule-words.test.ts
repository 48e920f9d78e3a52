import t from 'tap'
import { scheduleWords } from '../../../lib/dashboard/schedule-words.js'

t.test('common cron texts have words, others stay as they are', async t => {
  const words = {
    '* * * * *': 'Every minute',
    '*/5 * * * *': 'Every 5 minutes',
    '*/7 * * * *': '*/7 * * * *',
    '7 * * * *': 'Every hour, at minute 7',
    '30 17 * * *': 'Every day at 5:30 PM',
    '0 9 * * 1-5': 'Every weekday at 9:00 AM',
    '0 9 * * 1': 'Every Monday at 9:00 AM',
    '0 9 * * 1,3,7': 'Every Monday, Wednesday and Sunday at 9:00 AM',
    '0 0 1 * *': 'On day 1 of every month at 12:00 AM',
    '0 9 1 * 1': '0 9 1 * 1',
    '0 99 * * *': '0 99 * * *',
    '0 9 * 2 *': '0 9 * 2 *',
    '*/10 * * * * *': '*/10 * * * * *',
    nonsense: 'nonsense',
  }
  for (const [cron, expected] of Object.entries(words))
    t.equal(scheduleWords({ cron }, 'en-US').replace(/\u202f/g, ' '), expected, cron)
})

t.test('intervals', async t => {
  const every = (count: number, unit: 'minutes' | 'hours' | 'days') =>
    scheduleWords({ every: { count, unit, anchor: null } })
  t.equal(every(1, 'days'), 'Every day')
  t.equal(every(3, 'hours'), 'Every 3 hours')
})
