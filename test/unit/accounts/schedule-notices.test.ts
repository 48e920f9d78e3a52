/** Who hears of a scheduled run that could not begin. */
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { type StoredScheduleRun, writeScheduleRuns } from '../../../lib/accounts/schedules.js'
import { testAccounts } from '../../support/database.js'

t.test('the person it runs as is told, once; the owner when that is nobody', async t => {
  const { accounts, database } = await testAccounts(t)
  const admin = async <Result>(name: string, argument: unknown): Promise<Result> =>
    (await runAdminOperation(name, argument, { accounts })) as Result
  const organization = await admin<{ id: string; environments: { id: string; slug: string }[] }>(
    'createOrganization',
    { slug: 'ours', name: 'Ours', ownerEmail: 'owner@example.com' },
  )
  const environmentId = organization.environments.find(({ slug }) => slug === 'production')?.id
  const runner = await admin<{ id: string }>('createUser', {
    email: 'runner@example.com',
    password: 'a good password',
    membership: { organizationId: organization.id, permissions: ['DEVELOPER'] },
  })
  await accounts.recordDeclarations(
    {
      organizationId: organization.id as never,
      environmentId: environmentId as never,
      developerId: null,
    },
    [
      {
        slug: 'clean_up',
        name: 'Clean up',
        backgroundable: true,
        warnOnClose: true,
        unlisted: false,
      } as never,
    ],
    [],
  )
  await database.query(
    `insert into schedules (id, action_id, runner_id, cron, time_zone)
     select 'schedule1', id, $1, '* * * * *', 'Etc/UTC' from actions`,
    [runner.id],
  )
  const run = (id: string, more: Partial<StoredScheduleRun> = {}): StoredScheduleRun =>
    ({
      id,
      scheduleId: 'schedule1',
      status: 'FAILURE',
      cause: 'tick',
      transactionId: null,
      details: 'No host serves it.',
      dueAtMs: 1,
      ticks: 1,
      lastDueAtMs: 1,
      endedAtMs: 2,
      ...more,
    }) as StoredScheduleRun
  const told = async () =>
    (
      await database.query(
        `select notification_id as id, title, message, recipient from notification_deliveries
         join notifications on notifications.id = notification_id order by 1`,
      )
    ).rows
  const first = {
    id: 'run1.end',
    title: '"clean_up" could not run as scheduled',
    message: 'No host serves it.',
    recipient: 'runner@example.com',
  }
  const others = [
    run('run2', { transactionId: 'run2' }),
    run('run3', { status: 'SKIPPED' }),
    run('run4', { scheduleId: 'another' }),
  ]
  await writeScheduleRuns(database, [run('run1'), ...others])
  await writeScheduleRuns(database, [run('run1')])
  t.same(await told(), [first], 'once, and of nothing else')
  await database.query('delete from memberships where person_id = $1', [runner.id])
  await writeScheduleRuns(database, [run('run5')])
  t.same(await told(), [first, { ...first, id: 'run5.end', recipient: 'owner@example.com' }])
})
