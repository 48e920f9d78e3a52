/** Hosts, directories and pages as entities, and what a person sees of a directory. */
import t from 'tap'
import type { Actor } from '../../../lib/accounts/index.js'
import { DirectoryView, digestOf, directoryKey, directoryKind, hostKind } from '../../../lib/hosts/index.js'
import type { InstanceId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import type { Json } from '../../../lib/partitions/entity.js'
import type { DeclaredAction, DeclaredPage } from '../../../lib/sdk/index.js'
import { Subject } from '../../support/entity-subject.js'

const attach = (part: object = {}) => ({
  type: 'attach',
  instanceId: 'instance-1',
  organizationId: 'organization-1',
  environmentId: 'environment-1',
  developerId: null,
  apiKeyId: 'key-1',
  sdkName: '@interval/sdk',
  sdkVersion: '2.0.0',
  connectionId: 'connection-1',
  declaredAtMs: 5,
  rpcId: 1,
  firstRpcId: 1,
  ...part,
})

t.test('a newer connection speaks for the host, and knows what the older one left', async t => {
  const host = new Subject(hostKind, 'host:instance-1')
  t.match(host.tell(attach()).reply, { applied: true, isNewConnection: true, previousFirstRpcId: null })
  t.match(host.tell(attach({ declaredAtMs: 4, rpcId: 3, firstRpcId: null })).reply, { applied: false })
  const again = host.tell(attach({ connectionId: 'connection-2', declaredAtMs: 1, rpcId: 9, firstRpcId: 9 }))
  t.match(again.reply, {
    applied: true,
    isNewConnection: true,
    previousFirstRpcId: 1,
    unsettledByTrue: [1, 3],
  })
  const repeated = host.tell(
    attach({ connectionId: 'connection-2', declaredAtMs: 1, rpcId: 9, firstRpcId: 9 }),
  )
  t.match(repeated.reply, { previousFirstRpcId: 1 }, 'said twice it is answered alike')
  host.tell({ type: 'detach', connectionId: 'connection-1' })
  t.match(host.state, { host: { goneAtMs: null } }, 'the end of an older socket changes nothing')
  for (const other of ['organizationId', 'environmentId', 'developerId']) {
    t.throws(() => host.tell(attach({ [other]: 'another' })), { code: 'forbidden' }, other)
  }
})

t.test('a host whose socket nobody has is lost after its grace, and leaves the directory', async t => {
  const host = new Subject(hostKind, 'host:instance-1')
  host.tell(attach())
  t.match(host.tell({ type: 'alarm' }).signals, [
    { to: 'host-probe', payload: { connectionId: 'connection-1' } },
  ])
  host.tell({ type: 'detach', connectionId: 'connection-1' })
  t.match(host.tell({ type: 'ask' }).reply, { lost: false })
  host.nowMs += limits.hostGraceMs
  t.match(host.tell({ type: 'alarm' }), {
    state: null,
    effects: [{ to: 'entity', target: 'environment:environment-1', payload: { type: 'remove' } }],
  })
  t.match(host.tell({ type: 'ask' }).reply, { lost: true })
})

t.test('a host that was woken says so once, and is forgotten when that is over', async t => {
  const host = new Subject(hostKind, 'host:instance-1')
  t.match(host.tell(attach({ requestId: 'r' })).reply, { requestId: 'r' })
  t.match(host.tell(attach({ connectionId: 'connection-2', rpcId: 9, firstRpcId: 9 })).reply, {
    requestId: 'r',
  })
  t.equal(host.tell({ type: 'ended' }).state, null)
  const other = new Subject(hostKind, 'host:instance-1')
  other.tell(attach())
  t.match(other.tell(attach({ requestId: 'r' })).reply, { requestId: null }, 'not one that was there before')
  t.match(other.tell({ type: 'ended' }).state, { host: { instanceId: 'instance-1' } })
})

const action = (slug: string, part: Partial<DeclaredAction> = {}): DeclaredAction => ({
  slug,
  groupSlug: null,
  name: null,
  description: null,
  backgroundable: false,
  unlisted: false,
  warnOnClose: true,
  access: null,
  ...part,
})
const page = (slug: string, part: Partial<DeclaredPage> = {}): DeclaredPage => ({
  slug,
  name: slug,
  description: null,
  hasHandler: false,
  unlisted: false,
  access: null,
  ...part,
})

function announced(...hosts: [string, DeclaredAction[], DeclaredPage[]?][]): Subject {
  const directory = new Subject(directoryKind, directoryKey('environment-1', null))
  for (const [instanceId, actions, pages = []] of hosts) {
    const definitions = { actions, pages }
    directory.tell({
      type: 'announce',
      instanceId,
      connectionId: `${instanceId} 1`,
      digest: digestOf(definitions),
      definitions,
      sdkName: '',
      sdkVersion: '',
    })
  }
  return directory
}

const actor = (teams: string[] = [], permissions = ['RUN_PROD_ACTIONS', 'READ_PROD_ACTIONS']): Actor =>
  ({ teams, permissions: new Set(permissions), environment: { slug: 'production' } }) as unknown as Actor

t.test('equal hosts are stored once; the last one takes the declaration with it', async t => {
  const directory = announced(['instance-1', [action('a')]], ['instance-2', [action('a')]])
  const definitions = () => [...directory.records.keys()].filter(name => name.startsWith('definitions/'))
  t.equal(definitions().length, 1)
  t.equal(
    directory.tell({
      type: 'announce',
      instanceId: 'instance-1',
      connectionId: 'instance-1 1',
      digest: digestOf({ actions: [action('a')], pages: [] }),
      definitions: { actions: [action('a')], pages: [] },
      sdkName: '',
      sdkVersion: '',
    }).put,
    undefined,
    'the same declaration again writes nothing',
  )
  directory.tell({ type: 'remove', instanceId: 'instance-1', connectionId: 'instance-1 1' })
  t.equal(definitions().length, 1)
  directory.tell({ type: 'remove', instanceId: 'instance-2', connectionId: 'instance-2 1' })
  t.equal(directory.records.size, 0)
  const reloaded = directoryKind.load(new Map(), directory.key)
  t.equal(reloaded.hosts.size, 0)
})

t.test('a removal because of an older connection does not remove a host that is back', async t => {
  const directory = announced(['instance-1', [action('a')]])
  const definitions = { actions: [action('a')], pages: [] }
  const again = { type: 'announce', instanceId: 'instance-1', connectionId: 'instance-1 2', definitions }
  const { put } = directory.tell({ ...again, digest: digestOf(definitions), sdkName: '', sdkVersion: '' })
  t.same([...(put ?? [])].length, 1, 'a reconnect writes one small record')
  directory.tell({ type: 'remove', instanceId: 'instance-1', connectionId: 'instance-1 1' })
  t.ok(directory.records.has('host/instance-1'))
  directory.tell({ type: 'remove', instanceId: 'instance-1', connectionId: 'instance-1 2' })
  t.equal(directory.records.size, 0)
})

t.test('a directory takes no more hosts than its bound; those it has may come again', async t => {
  const definitions = { actions: [action('a')], pages: [] }
  const digest = digestOf(definitions)
  const records = new Map<string, Json>([[`definitions/${digest}`, definitions as unknown as Json]])
  for (let order = 1; order <= limits.hostsPerDirectoryMax; order += 1) {
    const instanceId = `instance-${order}`
    const connectionId = `${instanceId} 1`
    const host = { instanceId, connectionId, digest, sdkName: '', sdkVersion: '', shuttingDown: false, order }
    records.set(`host/${instanceId}`, host)
  }
  const directory = new Subject(directoryKind, directoryKey('environment-1', null))
  directory.state = directoryKind.load(records, directory.key)
  const announce = (instanceId: string) =>
    directory.tell({
      type: 'announce',
      instanceId,
      connectionId: `${instanceId} 1`,
      digest,
      definitions,
      sdkName: '',
      sdkVersion: '2.0.0',
    })
  t.throws(() => announce('one-too-many'), { code: 'too-many-requests' })
  t.ok(announce('instance-7').put)
  directory.tell({ type: 'remove', instanceId: 'instance-8', connectionId: 'instance-8 1' })
  t.ok(announce('one-too-many').put)
})

t.test(
  'the newest connected host wins, absent ones show as offline, departing ones take no runs',
  async t => {
    const directory = announced(
      ['instance-1', [action('a', { name: 'Old' }), action('b')]],
      ['instance-2', [action('a', { name: 'New' })]],
    )
    const view = (...connected: string[]) =>
      new DirectoryView(directory.state as never, id => connected.includes(id as InstanceId))
    t.match(view('instance-1', 'instance-2').directory(actor()).actions, [
      { name: 'b', online: true },
      { name: 'New' },
    ])
    t.match(
      view('instance-1')
        .directory(actor())
        .actions.find(entry => entry.slug === 'a'),
      { name: 'Old', online: true },
    )
    t.match(view().directory(actor()).actions, [{ online: false }, { online: false }])
    directory.tell({ type: 'shutdown', instanceId: 'instance-2' })
    t.same(
      view('instance-1', 'instance-2')
        .action('a', actor())
        ?.hosts.map(host => host.instanceId),
      ['instance-1'],
    )
  },
)

t.test('access: the own rule, else the nearest above, else open; teams shut out everybody else', async t => {
  const directory = announced([
    'instance-1',
    [
      action('open'),
      action('payroll/pay', { groupSlug: 'payroll' }),
      action('payroll/look', { groupSlug: 'payroll', access: 'entire-organization' }),
      action('payroll/deep/inside', { groupSlug: 'payroll/deep' }),
    ],
    [page('payroll', { access: { teams: ['finance'] }, hasHandler: true }), page('payroll/deep')],
  ])
  const view = new DirectoryView(directory.state as never, () => true)
  const slugs = (who: Actor) =>
    view
      .directory(who)
      .actions.map(entry => entry.slug)
      .sort()
  t.same(slugs(actor(['finance'])), ['open', 'payroll/deep/inside', 'payroll/look', 'payroll/pay'])
  t.same(slugs(actor(['sales'])), ['open', 'payroll/look'])
  t.match(
    view.directory(actor(['sales'])).pages,
    [{ slug: 'payroll', mayOpen: false }],
    'the folder of what is allowed',
  )
  t.equal(view.action('payroll/pay', actor(['sales'])), null)
  t.equal(view.page('payroll', actor(['sales'])), null)
  t.ok(view.page('payroll', actor(['finance'])))
  t.same(slugs(actor(['finance'], [])), [], 'no right to run, no list')
})
