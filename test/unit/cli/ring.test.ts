/** `ring status`: what people and programs are shown, and how what nodes say of themselves is put together. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { adoptLines } from '../../../lib/cli/ring.js'
import { openDataDirectory } from '../../../lib/config/index.js'
import type { ClusterStatus, NodeStatus } from '../../../lib/http/index.js'
import { listenAdmin } from '../../../lib/node/admin-socket.js'
import { problemsOf } from '../../../lib/node/ring-problems.js'
import { mergePlaces } from '../../../lib/node/ring-status.js'
import type { StoreId } from '../../../lib/partitions/index.js'
import type { PartitionId } from '../../../lib/ring/index.js'
import { command } from './command-process.js'

const report = {
  version: '0.1.0',
  boot: 1,
  notReady: [],
  hosts: 2,
  clients: 7,
  outboxRows: 0,
  damages: 0,
  refusing: 0,
  rewound: 0,
}
const node = (id: string, fields: Partial<NodeStatus> = {}): NodeStatus => ({
  id,
  address: '10.0.0.1:3455',
  condition: 'connected',
  heardMsAgo: 3,
  isMember: true,
  report,
  serves: 1,
  copies: 1,
  lag: 0,
  ...fields,
})
const place = (partition: number, fields: Partial<ClusterStatus['partitions'][number]> = {}) => ({
  partition,
  epoch: 4,
  owner: 'aaaaaaaa-1',
  replicas: ['bbbbbbbb-2'],
  servedBy: 'aaaaaaaa-1',
  seq: 9,
  lag: 0,
  ...fields,
})
const healthy: Omit<ClusterStatus, 'problems'> = {
  node: 'aaaaaaaa-1',
  isCluster: true,
  factor: 2,
  nodes: [node('aaaaaaaa-1', { condition: 'self' }), node('bbbbbbbb-2')],
  partitions: [place(0), place(1, { owner: 'bbbbbbbb-2', servedBy: 'bbbbbbbb-2', replicas: ['aaaaaaaa-1'] })],
  degraded: 0,
  copiesMissing: 0,
  unserved: 0,
}

t.test('a table for people, JSON for programs', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ring-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const directory = await openDataDirectory(join(folder, 'data'), {
    secrets: { server: null, nodes: null, cookie: null },
    command: 'run',
  })
  const status = { ...healthy, problems: ['Something is wrong.'] }
  const server = await listenAdmin(directory.adminSocketPath, async operation =>
    operation === 'clusterStatus' ? status : null,
  )
  t.teardown(async () => {
    await server.close()
    directory.close()
  })
  const json = await command(['ring', 'status', '--json'], { folder })
  t.same(JSON.parse(json.output), status)
  const { code, output, errors } = await command(['ring', 'status', '--partitions'], { folder })
  t.equal(code, 0)
  t.equal(errors, '')
  t.match(output, '2 nodes, 2 copies of each partition wanted')
  t.match(output, /^aaaaaaaa \* +10\.0\.0\.1:3455 +ready +1 +1 +0 +4 +2 +7 +0\.1\.0$/m)
  t.match(output, '2 of 2 partitions served, 2 with all copies\n! Something is wrong.')
  t.match(output, /^1 +4 +bbbbbbbb +aaaaaaaa +bbbbbbbb +9 +0$/m)
})

t.test('without a node: one sentence that helps', async t => {
  const folder = t.testdir()
  const { code, output, errors } = await command(['ring', 'status'], { folder })
  t.equal(code, 1)
  t.equal(output, '')
  t.match(errors, /^interval-server: No node runs on .*data\. Start one with `interval-server run`.*\n$/)
  for (const words of [['ring'], ['ring', 'staus'], ['ring', 'status', 'now']]) {
    t.equal((await command(words, { folder })).code, 2, words.join(' '))
  }
})

t.test('the highest epoch counts, and a node that was succeeded does not', async t => {
  const own = { partition: 0, replicas: [], seq: 5, lag: 1 }
  const older = { partitions: [{ ...own, epoch: 3, owner: 'a', serving: true }] }
  const newer = { partitions: [{ ...own, epoch: 4, owner: 'b', serving: true, seq: 6, lag: 0 }] }
  const expected = [{ partition: 0, epoch: 4, owner: 'b', replicas: [], servedBy: 'b', seq: 6, lag: 0 }]
  t.same(
    mergePlaces(
      new Map([
        ['a', older],
        ['b', newer],
      ]),
    ),
    expected,
  )
  t.same(
    mergePlaces(
      new Map([
        ['b', newer],
        ['a', older],
      ]),
    ),
    expected,
  )
  const known = { partitions: [{ ...own, epoch: 4, owner: 'b', serving: false }] }
  t.same(mergePlaces(new Map([['a', known]]))[0], { ...expected[0], servedBy: null, seq: null, lag: null })
})

t.test('what an operator is told before and after an adoption', async t => {
  const one = {
    partition: 3 as PartitionId,
    fromEpoch: 4,
    epoch: 5,
    owner: 'a' as StoreId,
    replicas: [],
    seq: 7,
  }
  const adoptions = [
    { ...one, mayLose: false },
    { ...one, partition: 4 as PartitionId, seq: 0, mayLose: true },
  ]
  t.match(adoptLines([], false).join(' '), /nothing to adopt/)
  t.same(adoptLines(adoptions, false), [
    '2 partitions wait: 3, 4.',
    '1 as they are: their owners answer, only the database was set back.',
    '1 from older copies, 1 of them empty: what their members had beyond is lost.',
    'Start the nodes that have them, or do it with --accept-loss. It is written to the audit log.',
  ])
  t.equal(adoptLines(adoptions, true)[0], 'Adopted 2 partitions: 3, 4.')
})

t.test('what is not as it should be is said', async t => {
  t.same(problemsOf(healthy), [])
  t.same(
    problemsOf({
      ...healthy,
      nodes: [
        node('aaaaaaaa-1', { report: { ...report, notReady: ['isolated'], damages: 1, refusing: 3 } }),
        node('bbbbbbbb-2', { condition: 'refused', report: null, serves: 0, copies: 1 }),
        node('cccccccc-3', { condition: 'silent', report: null, serves: 0, copies: 0 }),
        node('dddddddd-4', { report: null, serves: 0, copies: 0 }),
      ],
      partitions: [place(0, { replicas: [] }), place(7, { servedBy: null, seq: null, lag: null })],
      degraded: 1,
      copiesMissing: 1,
      unserved: 1,
    }),
    [
      '1 partition served by no node that answered: 7.',
      'Node aaaaaaaa is isolated. Start the others again, or mend the network towards them: bbbbbbbb (10.0.0.1:3455), cccccccc (10.0.0.1:3455), dddddddd (10.0.0.1:3455). If their disks are lost for good, `interval-server ring adopt --accept-loss` goes on with what this node has.',
      'Node aaaaaaaa refuses what browsers and callers write to 3 partitions, and holds what hosts say: the nodes with the copies do not answer.',
      'Node aaaaaaaa has set aside 1 damaged thing on its disk.',
      'Node bbbbbbbb is gone: its port refuses connections.',
      'Node bbbbbbbb still counts for 1 copy.',
      'Node cccccccc is not heard.',
      'Node dddddddd did not answer.',
      '1 partition with fewer than 2 copies (1 missing): a lost disk may lose data. It takes 2 nodes.',
    ],
  )
})
