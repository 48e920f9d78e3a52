/** Requests of one window, with the entities played by the test. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ClientRequests } from '../../../lib/clients/client-requests.js'
import type { ClientsOptions, Window } from '../../../lib/clients/clients.js'
import { limits } from '../../../lib/limits.js'

t.test('a window that never leaves its runs lets go of the oldest', async t => {
  const gone: string[] = []
  const place = { organization: 'ours', environment: 'production' }
  const options = {
    runtime: {
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
  const window = {
    clientId: 'client-1',
    connection: { identity: { user: { id: 'user-1' } } },
    attached: new Map(),
    reading: new Map(),
    watches: new Map(),
  } as unknown as Window
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
