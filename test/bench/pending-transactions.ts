/**
 * A process that fills a store with transactions that wait for an answer, lets them leave memory, and tells what each
 * costs. Words: folder, count. Run with --expose-gc.
 */
import { randomUUID } from 'node:crypto'
import type {
  ClientId,
  ConnectionId,
  EnvironmentId,
  InstanceId,
  OrganizationId,
  TransactionId,
  UserId,
} from '../../lib/ids.js'
import { openPartitions } from '../../lib/partitions/index.js'
import { type TransactionMessage, transactionKind } from '../../lib/transactions/index.js'

const [path = '', countText = '0'] = process.argv.slice(2)
const count = Number(countText)
const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined)
const residentKb = () => {
  collect()
  return process.memoryUsage().rss / 1_024
}

const partitions = await openPartitions({
  storage: { backend: 'leveldown', path },
  limits: { entityIdleMs: 1_000 },
})
partitions.register(transactionKind)
partitions.onEffect('host', { dispatch: () => Promise.resolve() })
partitions.setHistoryWriter({ write: () => Promise.resolve() })
await partitions.start()

const instanceId = randomUUID() as InstanceId
const owner = { id: randomUUID() as UserId, email: 'a@example.com', firstName: 'Ada', lastName: 'Quill' }
async function pending(): Promise<void> {
  const id = randomUUID() as TransactionId
  const organizationId = 'organization-1' as OrganizationId
  const asker = { clientId: randomUUID() as ClientId, userId: owner.id, organizationId }
  const start: TransactionMessage = {
    type: 'start',
    asker,
    start: {
      id,
      organizationId,
      environmentId: 'environment-1' as EnvironmentId,
      place: { organization: 'org', environment: 'production' },
      developerId: null,
      owner: { ...owner, role: 'admin', teams: [] },
      slug: 'action',
      name: 'Action',
      backgroundable: true,
      warnOnClose: true,
      instanceId,
      sdkName: '@interval/sdk',
      sdkVersion: '2.0.0',
      appends: true,
      sdkEnvironment: 'production',
      params: {},
      url: 'http://localhost:3000/dashboard/org/actions/action',
    },
  }
  await partitions.send(`transaction:${id}`, start)
  const component = {
    methodName: 'INPUT_TEXT',
    label: 'Your name',
    props: { helpText: 'x'.repeat(300) },
    isStateful: false,
    isOptional: false,
    isMultiple: false,
  }
  const call = {
    id: randomUUID(),
    inputGroupKey: randomUUID(),
    kind: 'RENDER' as const,
    toRender: [component],
  }
  const connectionId = 'connection-1' as ConnectionId
  await partitions.send(`transaction:${id}`, { type: 'io-call', instanceId, connectionId, call, bytes: 700 })
}

async function fill(total: number): Promise<void> {
  let left = total
  const worker = async () => {
    while (left > 0) {
      left -= 1
      await pending()
    }
  }
  await Promise.all(Array.from({ length: 256 }, worker))
  while (partitions.stats().entitiesInMemory > 0 || partitions.outboxRows > 0) {
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

// The first ones pay for code and buffers.
await fill(5_000)
const before = residentKb()
await fill(count)
const each = (residentKb() - before) / count
await partitions.stop()

// The reference: as many entries of 1 KB in a Map.
const map = new Map<string, Buffer>()
const beforeMap = residentKb()
for (let index = 0; index < count; index++) map.set(randomUUID(), Buffer.alloc(1_024, 1))
const eachEntry = (residentKb() - beforeMap) / count
if (map.size !== count) throw new Error('the reference is not complete')
process.stdout.write(`${JSON.stringify({ each, eachEntry })}\n`)
