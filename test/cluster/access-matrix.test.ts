/**
 * Who may do what, every role in every environment under every rule: rules that people set over the API and rules that
 * code declares, on actions and on pages above them. What each person should be able to run is written down here once,
 * and held against four things: the list they see, what they can start, the pages they can open, and the runs of others
 * that the API shows them. Then some of them are removed while they look.
 */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { query } from './measure.js'
import { RawHost } from './raw-socket.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const ours = await server.seed('Ada Owner')
const theirs = await server.seed('Eve Elsewhere')
const password = 'a long enough password'
const organizationId = ours.organization.id
const slug = ours.organization.slug
const ownerCookie = await server.signIn(ours.user.email, ours.password)

async function api(cookie: string, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(`${server.address}/api/v1/organizations/${slug}${path}`, {
    method,
    headers: { cookie, origin: server.address, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}
async function done(method: string, path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await api(ownerCookie, method, path, body)
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Record<string, unknown>
}

const finance = String((await done('POST', '/teams', { name: 'Finance' })).id)
await done('POST', '/environments', { name: 'Staging' })

interface Person {
  readonly role: 'ADMIN' | 'DEVELOPER' | 'ACTION_RUNNER' | 'READONLY_VIEWER' | null
  readonly inFinance: boolean
  readonly id: string
  readonly cookie: string
  readonly socket: BrowserClient
}
const people = new Map<string, Person>()
for (const role of ['ADMIN', 'DEVELOPER', 'ACTION_RUNNER', 'READONLY_VIEWER'] as const) {
  for (const inFinance of [false, true]) {
    const name = `${role.toLowerCase()}${inFinance ? '.finance' : ''}`
    const email = `${name}@example.com`
    const { id } = await server.admin<{ id: string }>('createUser', {
      email,
      password,
      membership: { organizationId, permissions: [role] },
    })
    if (inFinance) await done('PUT', `/teams/${finance}/members/${id}`, {})
    const cookie = await server.signIn(email, password)
    const socket = await BrowserClient.connect(server.address, cookie)
    people.set(name, { role, inFinance, id, cookie, socket })
  }
}
const strangerCookie = await server.signIn(theirs.user.email, theirs.password)
people.set('stranger', {
  role: null,
  inFinance: false,
  id: theirs.user.id,
  cookie: strangerCookie,
  socket: await BrowserClient.connect(server.address, strangerCookie),
})

/** Whom a rule lets in, before their role is asked. */
type Whom = 'everybody' | 'finance' | 'nobody'
interface Expected {
  readonly production: Whom
  /** Nobody sets anything there: only what code says counts. */
  readonly staging: Whom
  /** Teams whose members see the runs of others. */
  readonly administered?: boolean
}
const actions: Record<string, Expected> = {
  open: { production: 'everybody', staging: 'everybody' },
  'code-open': { production: 'everybody', staging: 'everybody' },
  'code-team': { production: 'finance', staging: 'finance' },
  'set-open': { production: 'everybody', staging: 'everybody' },
  'set-viewer': { production: 'nobody', staging: 'everybody' },
  'set-runner': { production: 'finance', staging: 'everybody' },
  'set-administrator': { production: 'finance', staging: 'everybody', administered: true },
  'set-nobody': { production: 'nobody', staging: 'everybody' },
  archived: { production: 'nobody', staging: 'everybody' },
  // The page `team` is set to finance, as administrators.
  'team/inherits': { production: 'finance', staging: 'everybody', administered: true },
  'team/set-open': { production: 'everybody', staging: 'everybody' },
  'team/code-open': { production: 'everybody', staging: 'everybody' },
  // No rule on `team/deep`, so as `team`.
  'team/deep/inherits': { production: 'finance', staging: 'everybody', administered: true },
  // Code says of `team/wide` that it is open: the nearest counts.
  'team/wide/inherits': { production: 'everybody', staging: 'everybody' },
  'team/wide/code-team': { production: 'finance', staging: 'finance' },
  // Code says of `coded` that it is for finance.
  'coded/inherits': { production: 'finance', staging: 'finance' },
}
const pages: Record<string, Expected> = {
  team: { production: 'finance', staging: 'everybody' },
  'team/deep': { production: 'finance', staging: 'everybody' },
  'team/wide': { production: 'everybody', staging: 'everybody' },
  coded: { production: 'finance', staging: 'finance' },
}
const inCode: Record<string, unknown> = {
  'code-open': 'entire-organization',
  'code-team': { teams: ['finance'] },
  'team/code-open': 'entire-organization',
  'team/wide': 'entire-organization',
  'team/wide/code-team': { teams: ['finance'] },
  coded: { teams: ['finance'] },
}
const parentOf = (path: string) => path.split('/').slice(0, -1).join('/')
const lastOf = (path: string) => path.split('/').at(-1) ?? ''
const declaration = {
  actions: Object.keys(actions).map(path => ({
    slug: lastOf(path),
    ...(parentOf(path) !== '' && { groupSlug: parentOf(path) }),
    ...(inCode[path] !== undefined && { access: inCode[path] }),
  })),
  groups: Object.keys(pages).map(path => ({
    slug: path,
    name: path,
    hasHandler: true,
    ...(inCode[path] !== undefined && { access: inCode[path] }),
  })),
  sdkName: '@interval/sdk',
  sdkVersion: '2.0.0',
  timestamp: Date.now(),
}
const stagingKey = String(
  (await done('POST', '/keys', { kind: 'PRODUCTION', environment: 'staging', label: 'staging' })).key,
)
const hosts = [
  await RawHost.connect(server, ours.liveKey),
  await RawHost.connect(server, stagingKey),
  await RawHost.connect(server, ours.developmentKey),
]
for (const host of hosts) await host.call('INITIALIZE_HOST', declaration)
t.teardown(async () => {
  for (const { socket } of people.values()) socket.close()
  for (const host of hosts) host.raw.end()
  await server.stop()
})

interface Settings {
  actions: { id: string; slug: string }[]
  pages: { id: string; slug: string }[]
}
const settings = await eventually(async () => {
  const found = (await (
    await api(ownerCookie, 'GET', '/environments/production/settings')
  ).json()) as Settings
  if (found.actions.length < Object.keys(actions).length) throw new Error('not all are recorded')
  return found
})
const idOf = (kind: 'actions' | 'pages', path: string): string =>
  settings[kind].find(one => one.slug === path)?.id ?? ''
const set = (kind: 'actions' | 'pages', path: string, rule: unknown) =>
  done('PUT', `/environments/production/settings/${kind}/${idOf(kind, path)}/access`, rule)
const forFinance = (level: string) => ({ availability: 'GROUPS', teams: [{ id: finance, level }] })
await set('actions', 'set-open', { availability: 'ORGANIZATION' })
await set('actions', 'set-viewer', forFinance('VIEWER'))
await set('actions', 'set-runner', forFinance('RUNNER'))
await set('actions', 'set-administrator', forFinance('ADMINISTRATOR'))
await set('actions', 'set-nobody', { availability: 'GROUPS', teams: [] })
await set('pages', 'team', forFinance('ADMINISTRATOR'))
await set('actions', 'team/set-open', { availability: 'ORGANIZATION' })
await done('PATCH', `/environments/production/settings/actions/${idOf('actions', 'archived')}`, {
  isArchived: true,
})

const environments = ['production', 'staging'] as const
const mayRun = (person: Person, whom: Whom): boolean =>
  person.role !== null &&
  person.role !== 'READONLY_VIEWER' &&
  (whom === 'everybody' || (whom === 'finance' && person.inFinance))
/** A window of its own: so many requests of one would be too many in a second. */
async function windowOf(t: Test, person: Person): Promise<BrowserClient> {
  const window = await BrowserClient.connect(server.address, person.cookie)
  t.teardown(() => window.close())
  return window
}
const placeOf = (environment: string) => ({ organization: slug, environment })
/** Viewers by role see what they could run; viewers by a rule see that one action. */
const maySee = (person: Person, path: string, environment: 'production' | 'staging'): boolean => {
  const whom = actions[path]?.[environment] ?? 'nobody'
  if (person.role === null) return false
  const isViewed = path === 'set-viewer' && environment === 'production' && person.inFinance
  return isViewed || whom === 'everybody' || (whom === 'finance' && person.inFinance)
}
const allowed = (person: Person, of: Record<string, Expected>, environment: 'production' | 'staging') =>
  Object.keys(of)
    .filter(path => mayRun(person, of[path]?.[environment] ?? 'nobody'))
    .sort()

t.test('the list shows each person what they may run, and nothing else', async t => {
  for (const [name, person] of people) {
    for (const environment of environments) {
      const asked = person.socket.ask('directory.watch', placeOf(environment))
      if (person.role === null) {
        t.equal((await refusal(asked)).code, 'not-found', `${name} in ${environment}`)
        continue
      }
      const directory = await asked
      const seen = directory.actions.map(action => action.slug).sort()
      const runnable = directory.actions.filter(action => !action.viewOnly)
      t.same(
        runnable.map(action => action.slug).sort(),
        allowed(person, actions, environment),
        `${name} in ${environment}`,
      )
      t.same(
        seen,
        Object.keys(actions)
          .filter(path => maySee(person, path, environment))
          .sort(),
        `${name} sees in ${environment}`,
      )
      t.ok(directory.actions.every(action => action.online === !action.viewOnly))
      const open = directory.pages.filter(page => page.mayOpen).map(page => page.slug)
      t.same(open.sort(), allowed(person, pages, environment), `pages of ${name} in ${environment}`)
      // A page that may not be opened is there as the folder of what is allowed in it.
      for (const path of seen)
        for (let page = parentOf(path); page !== ''; page = parentOf(page))
          t.ok(
            directory.pages.some(one => one.slug === page),
            `${name} finds the way to ${path}`,
          )
    }
  }
})

/** Runs that were started, by environment: who has started what. */
const started: { environment: string; by: string; path: string; id: string }[] = []

t.test('what is not in the list is not started, whoever names it', async t => {
  for (const [name, person] of people) {
    for (const environment of environments) {
      const may = allowed(person, actions, environment)
      const window = await windowOf(t, person)
      for (const path of Object.keys(actions)) {
        const transactionId = randomUUID()
        const asked = window.ask('transaction.start', {
          ...placeOf(environment),
          transactionId,
          slug: path,
        })
        if (may.includes(path)) {
          t.equal((await asked).status, 'running', `${name} starts ${path} in ${environment}`)
          started.push({ environment, by: name, path, id: transactionId })
          await window.ask('transaction.leave', { transactionId })
        } else
          t.equal(
            (await refusal(asked)).code,
            'not-found',
            `${name} does not start ${path} in ${environment}`,
          )
      }
    }
  }
  t.ok(started.length > 80, `${started.length} runs`)
})

t.test('pages open for those who may open them', async t => {
  for (const [name, person] of people) {
    for (const environment of environments) {
      const may = allowed(person, pages, environment)
      const window = await windowOf(t, person)
      for (const path of Object.keys(pages)) {
        const pageKey = randomUUID()
        const asked = window.ask('page.open', { ...placeOf(environment), pageKey, slug: path })
        // The host here does not know how to open pages: that it is asked is enough.
        const { code } = await refusal(asked)
        t.equal(code !== 'not-found', may.includes(path), `${name}, ${path}, ${environment}: ${code}`)
      }
    }
  }
})

t.test('the API shows one’s own runs, those one’s team administers, and to administrators all', async t => {
  await eventually(async () => {
    const rows = await query<{ count: string }>(server, 'select count(*) as count from transactions')
    if (Number(rows[0]?.count) < started.length) throw new Error('not all are in the history')
  })
  for (const [name, person] of people) {
    for (const environment of environments) {
      const ids: string[] = []
      let next = ''
      do {
        const answer = await api(
          person.cookie,
          'GET',
          `/environments/${environment}/transactions?limit=100${next}`,
        )
        if (person.role === null) {
          t.equal(answer.status, 404, `${name} in ${environment}`)
          break
        }
        const page = (await answer.json()) as { transactions: { id: string }[]; next: string | null }
        ids.push(...page.transactions.map(({ id }) => id))
        next = page.next === null ? '' : `&cursor=${encodeURIComponent(page.next)}`
      } while (next !== '')
      const administers = (path: string): boolean =>
        environment === 'production' && person.inFinance && actions[path]?.administered === true
      const visible = started
        .filter(run => run.environment === environment && person.role !== null)
        .filter(run => run.by === name || person.role === 'ADMIN' || administers(run.path))
      t.same(ids.sort(), visible.map(({ id }) => id).sort(), `${name} in ${environment}`)
    }
  }
  const foreign = started.find(run => run.by === 'admin' && run.path === 'open')
  const read = (person: string) =>
    fetch(`${server.address}/api/v1/transactions/${foreign?.id}`, {
      headers: { cookie: people.get(person)?.cookie ?? '' },
    })
  t.equal((await read('admin')).status, 200)
  t.equal((await read('action_runner')).status, 404)
  t.equal((await read('stranger')).status, 404)
})

t.test('a console is its developer’s alone, whatever rules say', async t => {
  for (const [name, person] of people) {
    const asked = person.socket.ask('directory.watch', placeOf('development'))
    if (person.role === null) t.equal((await refusal(asked)).code, 'not-found', name)
    else t.same((await asked).actions, [], `${name} sees nothing of the owner’s console`)
  }
  const owner = await BrowserClient.connect(server.address, ownerCookie)
  t.teardown(() => owner.close())
  const own = await owner.ask('directory.watch', placeOf('development'))
  t.equal(own.actions.length, Object.keys(actions).length, 'the owner everything')
})

t.test('settings of actions are for those who write them', async t => {
  for (const [name, person] of people) {
    const { status } = await api(person.cookie, 'GET', '/environments/production/settings')
    const may = person.role === 'ADMIN' || person.role === 'DEVELOPER'
    t.equal(status, may ? 200 : person.role === null ? 404 : 403, name)
  }
})

t.test('who is removed while they look loses the list, the run and the socket', async t => {
  const person = people.get('action_runner')
  if (!person) throw new Error('nobody')
  const { id, socket } = person
  await socket.ask('directory.watch', placeOf('production'))
  const transactionId = randomUUID()
  await socket.ask('transaction.start', { ...placeOf('production'), transactionId, slug: 'open' })
  t.equal((await api(ownerCookie, 'DELETE', `/members/${id}`)).status, 200)
  await eventually(() => {
    if (socket.closeCode === null) throw new Error('still connected')
  }, 5_000)
  t.equal(socket.closeCode, 1008)
  await socket.reopen()
  t.equal((await refusal(socket.ask('directory.watch', placeOf('production')))).code, 'not-found')
  t.equal((await refusal(socket.ask('transaction.attach', { transactionId }))).code, 'not-found')
  t.equal((await api(person.cookie, 'GET', '/members')).status, 404)
})

t.test('an environment that is deleted is gone for those who look at it', async t => {
  const person = people.get('developer.finance')
  if (!person) throw new Error('nobody')
  await person.socket.ask('directory.watch', placeOf('staging'))
  t.equal((await api(ownerCookie, 'DELETE', '/environments/staging')).status, 200)
  await eventually(() => {
    const last = person.socket
      .all('directory')
      .filter(event => event.environment === 'staging')
      .at(-1)
    if (last?.directory.actions.length !== 0) throw new Error('the list is still shown')
  })
  t.equal((await refusal(person.socket.ask('directory.watch', placeOf('staging')))).code, 'not-found')
  const start = { ...placeOf('staging'), transactionId: randomUUID(), slug: 'open' }
  t.equal((await refusal(person.socket.ask('transaction.start', start))).code, 'not-found')
  await eventually(() => {
    if (hosts[1]?.raw.isOpen) throw new Error('its host is still connected')
  })
  for (const run of started.filter(({ environment }) => environment === 'staging').slice(0, 3)) {
    const answer = await fetch(`${server.address}/api/v1/transactions/${run.id}`, {
      headers: { cookie: ownerCookie },
    })
    t.equal(answer.status, 404, 'its history is nobody’s')
  }
})
