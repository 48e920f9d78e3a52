/** The state of the cluster is for administrators alone. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { ClusterStatus, EntityPlace } from '../../../lib/http/index.js'
import { testAccounts } from '../../support/database.js'
import { testServer } from './test-server.js'

const { accounts } = await testAccounts(t)
const status: ClusterStatus = {
  node: 'a',
  isCluster: false,
  factor: 1,
  nodes: [],
  partitions: [],
  degraded: 0,
  copiesMissing: 0,
  unserved: 0,
  problems: [],
}
const place: EntityPlace = { partition: 7, epoch: 2, node: 'a', address: null, replicas: [] }
const asked: string[] = []
const { ask } = await testServer(t, accounts, {
  cluster: {
    status: async () => status,
    placeOf: key => {
      asked.push(key)
      return place
    },
  },
})
const organization = (await runAdminOperation(
  'createOrganization',
  { slug: 'ours', name: 'Ours', ownerEmail: 'owner@example.com' },
  { accounts },
)) as { id: string }

async function signedIn(email: string, permissions: string[]): Promise<string | undefined> {
  const membership = { organizationId: organization.id, permissions }
  await runAdminOperation('createUser', { email, password: 'a good password', membership }, { accounts })
  return (await ask('POST', '/api/v1/session', { body: { email, password: 'a good password' } })).cookie
}

t.test('administrators see it, others do not', async t => {
  const id = randomUUID()
  const paths = ['/api/v1/cluster', `/api/v1/cluster/transactions/${id}`]
  const cookie = await signedIn('admin@example.com', ['ADMIN'])
  const [whole, one] = await Promise.all(paths.map(path => ask('GET', path, { cookie })))
  t.same(whole?.body, status)
  t.same(one?.body, place)
  t.same(asked, [`transaction:${id}`])
  t.equal((await ask('GET', '/api/v1/cluster/transactions/..%2f', { cookie })).status, 404)

  const developer = await signedIn('developer@example.com', ['DEVELOPER'])
  for (const path of paths) {
    t.equal((await ask('GET', path, { cookie: developer })).status, 403, 'not for developers')
    t.equal((await ask('GET', path)).status, 401, 'not for strangers')
  }
  t.equal(asked.length, 1)
})
