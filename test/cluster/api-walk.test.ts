/**
 * Every route that the API describes, walked: what is described for access tokens takes them, asks who is there before
 * anything else, and shows nothing of an organization to somebody who is not in it.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { RawHost } from './raw-socket.js'

t.setTimeout(120_000)
const server = await TestServer.start()
t.teardown(() => server.stop())
const ours = await server.seed('Ada Owner')
const theirs = await server.seed('Eve Elsewhere')

interface Route {
  readonly method: string
  readonly path: string
}

async function tokenOf(who: { user: { email: string }; password: string }): Promise<string> {
  const cookie = await server.signIn(who.user.email, who.password)
  const made = await fetch(`${server.address}/api/v1/access-tokens`, {
    method: 'POST',
    headers: { cookie, origin: server.address, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'A walk', scope: 'write', days: 1 }),
  })
  return ((await made.json()) as { token: string }).token
}

async function ask({ method, path }: Route, token?: string): Promise<{ status: number; text: string }> {
  const response = await fetch(server.address + path, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(method !== 'GET' && { 'content-type': 'application/json' }),
    },
    ...(method !== 'GET' && method !== 'DELETE' && { body: '{}' }),
  })
  return { status: response.status, text: await response.text() }
}

const described = (await (await fetch(`${server.address}/api/v1/openapi.json`)).json()) as {
  paths: Record<string, Record<string, unknown>>
}
/** Those that take access tokens: the others say who may call them. */
const taking = (operation: unknown): boolean => !Object.hasOwn(operation as object, 'security')
const routes: Route[] = Object.entries(described.paths).flatMap(([path, methods]) =>
  Object.keys(methods)
    .filter(method => taking(methods[method]))
    .map(method => ({
      method: method.toUpperCase(),
      path: path
        .replace('{org}', ours.organization.slug)
        .replace('{env}', 'production')
        .replace(/\{\w+\}/g, 'nothing-of-this-name'),
    })),
)
const ofOrganization = routes.filter(({ path }) => path.includes(`/${ours.organization.slug}`))
const nameOf = ({ method, path }: Route): string => `${method} ${path}`

t.test('there are routes to walk', async t => {
  t.ok(routes.length > 60, `${routes.length} routes`)
  t.ok(ofOrganization.length > 40, `${ofOrganization.length} of them are of an organization`)
})

t.test('what is left to people says so, and takes no token', async t => {
  const token = await tokenOf(ours)
  const own = Object.entries(described.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(
        ([, operation]) =>
          JSON.stringify((operation as { security?: unknown }).security) === '[{"session":[]}]',
      )
      .map(([method]) => ({
        method: method.toUpperCase(),
        path: path.replace('{org}', ours.organization.slug).replace(/\{\w+\}/g, 'nothing-of-this-name'),
      })),
  )
  t.ok(own.length > 25, `${own.length} routes`)
  for (const route of own) {
    t.equal((await ask(route)).status, 401, `${nameOf(route)} asks who is there`)
    const { status, text } = await ask(route, token)
    t.equal(status, 403, `${nameOf(route)}: ${text}`)
    t.match(text, 'An access token cannot do this', nameOf(route))
  }
})

t.test('nobody is refused who they are only after something else was looked at', async t => {
  for (const route of routes) {
    const { status, text } = await ask(route)
    t.equal(status, 401, `${nameOf(route)} asks who is there: ${text}`)
  }
})

t.test('somebody of another organization sees that there is nothing', async t => {
  const token = await tokenOf(theirs)
  for (const route of ofOrganization) {
    const { status, text } = await ask(route, token)
    // What is wrong with the request itself may be said first: it tells nothing of the organization.
    t.ok([400, 404, 422].includes(status), `${nameOf(route)} is not there: ${status} ${text}`)
    t.notMatch(text, ours.organization.id)
  }
})

t.test('the owner’s token is taken everywhere', async t => {
  const token = await tokenOf(ours)
  for (const route of routes) {
    const { status, text } = await ask(route, token)
    t.notMatch(text, 'An access token cannot do this', nameOf(route))
    t.not(status, 401, `${nameOf(route)}: ${text}`)
    t.ok(status < 500 || status === 503, `${nameOf(route)}: ${status} ${text}`)
  }
})

/** What a schema takes, as small as it may be. */
function sampleOf(schema: Record<string, unknown> | undefined): unknown {
  if (!schema) return undefined
  const {
    anyOf,
    enum: values,
    properties,
    required,
    type,
  } = schema as {
    anyOf?: Record<string, unknown>[]
    enum?: unknown[]
    properties?: Record<string, Record<string, unknown>>
    required?: string[]
    type?: string
  }
  if (values) return values[0]
  if (anyOf) return sampleOf(anyOf[0])
  if (type === 'object') {
    return Object.fromEntries((required ?? []).map(name => [name, sampleOf(properties?.[name])]))
  }
  if (type === 'array') return []
  if (type === 'boolean') return true
  if (type === 'integer' || type === 'number') return 1
  if (schema.format === 'uri') return 'https://hosts.example/x'
  if (schema.format === 'date-time') return '2030-01-01T00:00:00Z'
  return 'a@example.com'
}

t.test('ids that are there, of another organization, are not there either', async t => {
  const owner = await server.signIn(ours.user.email, ours.password)
  const stranger = await server.signIn(theirs.user.email, theirs.password)
  const call = async (cookie: string, method: string, path: string, body?: unknown) => {
    const response = await fetch(server.address + path, {
      method,
      headers: {
        cookie,
        origin: server.address,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : {} }
  }
  const base = `/api/v1/organizations/${ours.organization.slug}`
  const made = async (path: string, body: unknown): Promise<string> => {
    const { body: answer, status, text } = await call(owner, 'POST', path, body)
    if (status !== 201) throw new Error(`${path}: ${status} ${text}`)
    return String(answer.id)
  }
  const host = await RawHost.connect(server, ours.liveKey)
  t.teardown(() => host.raw.end())
  await host.call('INITIALIZE_HOST', {
    actions: [{ slug: 'pay' }, { slug: 'look', groupSlug: 'books' }],
    groups: [{ slug: 'books', name: 'books', hasHandler: true }],
    sdkName: '@interval/sdk',
    sdkVersion: '2.0.0',
    timestamp: Date.now(),
  })
  await call(owner, 'POST', `${base}/environments`, { name: 'Staging' })
  const settings = `${base}/environments/production/settings`
  const { actions, pages } = await eventually(async () => {
    const { body } = await call(owner, 'GET', settings)
    if (!body.actions?.[0] || !body.pages?.[0]) throw new Error('nothing is declared yet')
    return body as { actions: { id: string }[]; pages: { id: string }[] }
  })
  const browser = await BrowserClient.connect(server.address, owner)
  t.teardown(() => browser.close())
  const place = { organization: ours.organization.slug, environment: 'production' }
  const transaction = randomUUID()
  await browser.ask('transaction.start', { ...place, slug: 'pay', transactionId: transaction })
  await eventually(async () => {
    const { status } = await call(owner, 'GET', `/api/v1/transactions/${transaction}`)
    if (status !== 200) throw new Error('the history does not know it yet')
  })
  const queued = await fetch(`${server.address}/api/actions/enqueue`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ours.liveKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ slug: 'pay' }),
  })
  const team = await made(`${base}/teams`, { name: 'Finance' })
  const ids: Record<string, string> = {
    keys: await made(`${base}/keys`, { kind: 'PRODUCTION' }),
    teams: team,
    members: ours.user.id,
    invitations: await made(`${base}/invitations`, { email: 'guest@example.com', role: 'DEVELOPER' }),
    mails: (await call(owner, 'GET', `${base}/mails`)).body.mails[0].id,
    'http-hosts': await made(`${base}/http-hosts`, { url: 'https://hosts.example/interval' }),
    domains: await made(`${base}/sso/domains`, { domain: 'corp.example' }),
    actions: actions[0]?.id ?? '',
    pages: pages[0]?.id ?? '',
    queue: ((await queued.json()) as { id: string }).id,
    transactions: transaction,
    schedules: await made('/api/v1/schedules', {
      organization: place.organization,
      action: 'pay',
      cron: '0 0 1 1 *',
    }),
  }
  /** Of whose the route is; null where no id of ours stands in it. */
  const named = (path: string, organization: string, environment: string): string | null => {
    let isOurs =
      (organization === place.organization && path.includes('{org}')) ||
      (environment === 'staging' && path.includes('{env}'))
    const whole = path
      .replace('{org}', organization)
      .replace('{env}', environment)
      .replace(/([\w-]+)\/\{(\w+)\}/g, (text, before: string) => {
        const id = ids[before]
        if (id === undefined) throw new Error(`no id of ours for ${text} of ${path}`)
        isOurs = true
        return `${before}/${id}`
      })
    return isOurs ? whole : null
  }
  const everything = async (): Promise<string> => {
    const lists = [
      'members',
      'keys',
      'teams',
      `teams/${team}`,
      'invitations',
      'mails',
      'environments',
      'settings',
      'sso',
    ]
    const texts = await Promise.all(
      lists.map(async list => (await call(owner, 'GET', `${base}/${list}`)).text),
    )
    const others = await Promise.all(
      [settings, `${base}/http-hosts`, `/api/v1/schedules/${ids.schedules}`].map(path =>
        call(owner, 'GET', path),
      ),
    )
    // When they were used, and what comes next, changes by itself.
    return [...texts, ...others.map(({ text }) => text)]
      .join('\n')
      .replace(/"(lastUsedAt|status|upcoming|lastConnectedAt|nextAttemptAt)":("[^"]*"|null|\[[^\]]*\])/g, '')
  }
  const before = await everything()
  let walked = 0
  let seen = 0
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      // Says nothing of whether there is such a run. Links are followed by whoever has them; sessions are one's own.
      if (/^\/api\/v1\/(cluster|uploads|session|sessions|access-tokens)\b/.test(path)) continue
      if (/^\/api\/v1\/invitations\/\{id\}$/.test(path)) continue
      const { requestBody } = operation as {
        requestBody?: { content: { 'application/json'?: { schema: Record<string, unknown> } } }
      }
      const sample = sampleOf(requestBody?.content['application/json']?.schema)
      const body = sample ?? (['post', 'put', 'patch'].includes(method) ? {} : undefined)
      for (const [organization, environment] of [
        [place.organization, 'production'],
        [theirs.organization.slug, 'production'],
        [theirs.organization.slug, 'staging'],
      ] as const) {
        const there = named(path, organization, environment)
        if (there === null) continue
        const answer = await call(stranger, method.toUpperCase(), there, body)
        const label = `${method} ${there}: ${answer.status} ${answer.text.slice(0, 200)}`
        walked += 1
        if ([403, 404].includes(answer.status)) seen += 1
        // Without a mail server nothing is sent, whosever it is.
        else if (![400, 422].includes(answer.status) && !(answer.status === 503 && path.endsWith('/send')))
          t.fail(label)
        // What was sent may come back; nothing else of ours does.
        t.notMatch(answer.text, ours.organization.id, label)
        t.notMatch(answer.text, ours.user.email, label)
      }
    }
  }
  t.ok(walked > 90, `${walked} requests`)
  t.ok(seen > walked * 0.9, `${seen} of them got as far as to be told that there is nothing`)
  t.equal(await everything(), before, 'nothing has changed')
  // The audit log of ours tells who tried, a moment later.
  await eventually(async () => {
    const denied = await call(owner, 'GET', `${base}/audit?event=access.denied&person=${theirs.user.email}`)
    if (denied.body.rows.length <= 20) throw new Error(`${denied.body.rows.length} rows`)
  })
})
