/** Requests of one window, with the entities played by the test. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ClientRequests } from '../../../lib/clients/client-requests.js'
import type { ClientsOptions, Window } from '../../../lib/clients/clients.js'
import { AppError, type ErrorCode } from '../../../lib/errors.js'
import { limits } from '../../../lib/limits.js'

function newWindow(): Window {
  return {
    clientId: 'client-1',
    connection: { identity: { user: { id: 'user-1' } } },
    attached: new Map(),
    reading: new Map(),
    watches: new Map(),
  } as unknown as Window
}

/** What the accounts say of somebody who may run whatever there is. */
const whoMayRun = {
  actor: async () => ({
    user: { id: 'user-1', email: 'ann@example.com', firstName: null, lastName: null },
    organization: { id: 'organization-1' },
    environment: { id: 'environment-1', slug: 'production' },
    permissions: new Set(['RUN_PROD_ACTIONS']),
    teams: [],
  }),
  accessRules: async () => ({}),
}

/** A host that serves one action. */
const whoServes = {
  directories: {
    view: async () => ({
      has: () => true,
      action: () => ({
        definition: { slug: 'pay', name: null },
        hosts: [{ instanceId: 'instance-1', sdkName: '@interval/sdk', sdkVersion: '2.0.0' }],
      }),
    }),
  },
  hosts: { isConnected: () => true },
  isOutboxFull: () => false,
}

t.test('a window that never leaves its runs lets go of the oldest', async t => {
  const gone: string[] = []
  const place = { organization: 'ours', environment: 'production' }
  const options = {
    runtime: {
      leads: () => true,
      async send(key: string, message: { type: string }) {
        if (message.type === 'client-gone') gone.push(key)
        if (message.type === 'locate') return { organizationId: 'organization-1', place }
        return { snapshot: {}, instanceId: 'instance-1' }
      },
    },
    accounts: {
      actor: async () => ({
        user: { id: 'user-1' },
        organization: { id: 'organization-1' },
        environment: { slug: 'production' },
        permissions: new Set(['RUN_PROD_ACTIONS']),
      }),
    },
    hosts: { isConnected: () => true },
    log: { debug: () => undefined },
  } as unknown as ClientsOptions
  const window = newWindow()
  const requests = new ClientRequests(options)
  const attach = (transactionId: string) =>
    requests.handle(window, { id: 1, method: 'transaction.attach', data: { transactionId } })
  const ids = Array.from({ length: limits.transactionsPerClientMax }, () => randomUUID())
  for (const id of ids) await attach(id)
  await attach(ids[0] ?? '')
  t.same(gone, [], 'looking at one again takes no room')
  await attach(randomUUID())
  t.equal(window.attached.size, limits.transactionsPerClientMax)
  t.same(gone, [`transaction:${ids[1]}`], 'the one looked at longest ago')
})

t.test('a run that was refused puts back what it has claimed; one that may exist does not', async t => {
  let refusal: AppError | null = null
  let tookMs = 0
  let nowMs = 0
  let isNew = true
  const released: unknown[] = []
  const options = {
    runtime: {
      leads: () => true,
      async send() {
        nowMs += tookMs
        if (refusal) throw refusal
        return { snapshot: {}, instanceId: 'instance-1' }
      },
    },
    clock: { nowMs: () => nowMs },
    accounts: {
      ...whoMayRun,
      audit: () => undefined,
      queue: {
        claim: async () => ({ params: null, paramsMeta: null, isNew }),
        release: async (_actor: unknown, claim: unknown) => released.push(claim),
      },
    },
    ...whoServes,
    log: { debug: () => undefined, warn: () => undefined },
  } as unknown as ClientsOptions
  const window = newWindow()
  const requests = new ClientRequests(options)
  const transactionId = randomUUID()
  const start = () =>
    requests.handle(window, {
      id: 1,
      method: 'transaction.start',
      data: {
        organization: 'ours',
        environment: 'production',
        slug: 'pay',
        transactionId,
        queueItemId: 'item-1',
      },
    })
  const isReleasedAfter = async (code: ErrorCode, ms = 0): Promise<boolean> => {
    refusal = new AppError(code)
    tookMs = ms
    await t.rejects(start(), { code })
    return released.splice(0).length > 0
  }
  for (const code of [
    'conflict',
    'too-large',
    'copies-away',
    'isolated',
    'queue-full',
    'storage-full',
  ] as const)
    t.equal(await isReleasedAfter(code), true, code)
  for (const code of ['timeout', 'unavailable', 'draining', 'internal'] as const)
    t.equal(await isReleasedAfter(code), false, code)
  t.equal(await isReleasedAfter('copies-away', limits.copiesAwayMsMax), false, 'it was taken before')
  isNew = false
  t.equal(await isReleasedAfter('copies-away'), false, 'an earlier try may have started it')
  refusal = null
  await start()
  t.same(released, [])
})

t.test('what is denied is a row of the organization whose things they are', async t => {
  const rows: { organizationId?: string | null; details?: object }[] = []
  const options = {
    runtime: {
      leads: () => true,
      async send(key: string) {
        if (key === 'transaction:live') {
          return {
            organizationId: 'organization-2',
            place: { organization: 'theirs', environment: 'production' },
          }
        }
        return null
      },
    },
    accounts: {
      actor: async () => {
        throw new AppError('not-found')
      },
      organizationIdOf: async (slug: string) => (slug === 'theirs' ? 'organization-2' : null),
      placeOfTransaction: async () => null,
      audit: (row: object) => rows.push(row),
    },
    log: { debug: () => undefined },
  } as unknown as ClientsOptions
  const window = newWindow()
  const requests = new ClientRequests(options)
  const place = { organization: 'theirs', environment: 'production' }
  await t.rejects(requests.handle(window, { id: 1, method: 'directory.watch', data: place }))
  await t.rejects(
    requests.handle(window, { id: 2, method: 'transaction.attach', data: { transactionId: 'live' } }),
  )
  await t.rejects(
    requests.handle(window, {
      id: 3,
      method: 'directory.watch',
      data: { ...place, organization: 'nobody' },
    }),
  )
  t.same(
    rows.map(({ organizationId }) => organizationId),
    ['organization-2', 'organization-2', null],
  )
})

t.test(
  'a start that is repeated is answered with nothing older than what the window was told meanwhile',
  async t => {
    const window = newWindow()
    const transactionId = randomUUID()
    let asked = 0
    const options = {
      runtime: {
        leads: () => true,
        async send(key: string, message: { type: string }) {
          if (message.type !== 'start') return {}
          asked += 1
          const reading = window.reading.get(key as never)
          // The run goes on while the first reply is on its way.
          if (asked === 1 && reading) reading.events += 1
          return { snapshot: { asked }, instanceId: 'instance-1' }
        },
      },
      clock: { nowMs: () => 0 },
      accounts: whoMayRun,
      ...whoServes,
      log: { debug: () => undefined },
    } as unknown as ClientsOptions
    const data = { organization: 'ours', environment: 'production', slug: 'pay', transactionId }
    const reply = await new ClientRequests(options).handle(window, {
      id: 1,
      method: 'transaction.start',
      data,
    })
    t.match(reply, { asked: 2 })
  },
)
