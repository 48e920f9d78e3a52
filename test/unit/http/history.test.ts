/** The history of runs over HTTP: who sees which, how they are found, counted and taken away. */
import t from 'tap'
import { type HistoryRow, writeHistory } from '../../../lib/accounts/history.js'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { Queryable } from '../../../lib/database/index.js'
import { AppError } from '../../../lib/errors.js'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import { inputsOf, masked } from '../../../lib/transactions/index.js'
import { recordedInput } from '../../../lib/transactions/inputs.js'
import { testAccounts } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { testServer } from './test-server.js'

const { accounts, database } = await testAccounts(t)
const { ask, origin } = await testServer(t, accounts)

const admin = async <Result>(name: string, argument: unknown): Promise<Result> =>
  (await runAdminOperation(name, argument, { accounts })) as Result
const organization = await admin<{ id: string }>('createOrganization', {
  slug: 'ours',
  name: 'Ours',
  ownerEmail: 'owner@example.com',
})
await admin('createOrganization', { slug: 'theirs', name: 'Theirs', ownerEmail: 'stranger@example.com' })

async function member(email: string, permissions: string[] | null): Promise<{ id: string; cookie: string }> {
  const password = 'a good password'
  if (permissions === null) {
    const hash = await accounts.passwords.hash(password)
    await database.query('update people set password = $2 where email = $1', [email, hash])
  } else {
    const membership = { organizationId: organization.id, permissions }
    await admin('createUser', { email, password, firstName: email.split('@')[0], membership })
  }
  const { body, cookie } = await ask('POST', '/api/v1/session', { body: { email, password } })
  return { id: (body.user as { id: string }).id, cookie: cookie ?? '' }
}
const owner = await member('owner@example.com', null)
const stranger = await member('stranger@example.com', null)
const runner = await member('runner@example.com', ['ACTION_RUNNER'])

const { environment } = await accounts.actor(owner.id as never, 'ours', 'production')
const development = (await accounts.actor(owner.id as never, 'ours', 'development')).environment
const baseMs = Date.UTC(2030, 0, 1)
const run = (id: string, more: object = {}): HistoryRow =>
  ({
    id,
    organizationId: organization.id,
    environmentId: environment.id,
    developerId: null,
    ownerId: owner.id,
    slug: 'users/greet',
    name: 'Greet',
    hostId: 'host-1',
    status: 'COMPLETED',
    resultStatus: 'SUCCESS',
    resultData: { text: 'done' },
    backgroundable: false,
    createdAtMs: baseMs,
    updatedAtMs: baseMs,
    completedAtMs: baseMs + 1_000,
    epoch: 1,
    seq: 1,
    logs: [],
    ...more,
  }) as unknown as HistoryRow

const secretly = recordedInput(
  {
    order: 0,
    atMs: baseMs,
    toRender: [
      { label: 'Name', methodName: 'INPUT_TEXT' },
      { label: 'New password', methodName: 'INPUT_TEXT' },
      { label: 'A note', methodName: 'DISPLAY_MARKDOWN' },
      { label: 'Rows', methodName: 'INPUT_SPREADSHEET' },
      { label: 'File', methodName: 'UPLOAD_FILE' },
      { label: 'Long', methodName: 'INPUT_TEXT' },
    ] as never,
  },
  {
    values: [
      '=1+1',
      'hunter2',
      null,
      [{ apiKey: 'hunter2', row: 1 }],
      { name: 'a.txt', type: 'text/plain', size: 3, url: 'https://files/a?signature=hunter2' },
      'x'.repeat(limits.historyValueCharactersMax + 1),
    ],
    choice: 'go',
  },
  limits.historyInputCharactersMax,
)
if (!secretly) throw new Error('nothing was recorded')

await accounts.writeHistory([
  ...Array.from({ length: 120 }, (_, index) =>
    // Several at the same moment: the id decides.
    run(`many-${String(index).padStart(4, '0')}`, { createdAtMs: baseMs + Math.floor(index / 3) * 1_000 }),
  ),
  run('theirs-1', { ownerId: runner.id, slug: 'refund', name: 'Refund 100%', resultStatus: 'FAILURE' }),
  run('open-run-1', {
    ownerId: runner.id,
    status: 'AWAITING_INPUT',
    resultStatus: null,
    completedAtMs: null,
    createdAtMs: baseMs + 86_400_000,
    inputs: inputsOf(new Map([['input/00000000', secretly.input as never]])),
    params: masked({ token: 'hunter2', of: 'all' }),
  }),
  run('console-1', { environmentId: development.id, developerId: owner.id }),
])

const path = '/api/v1/organizations/ours/environments/production/transactions'
const list = async (query: string, who = owner) => {
  const { body, status } = await ask('GET', `${path}?${query}`, { cookie: who.cookie })
  const { transactions = [], next } = body as { transactions?: { id: string }[]; next?: string | null }
  return { status, ids: transactions.map(({ id }) => id), next: next ?? null, body }
}
const count = async (query: string, who = owner) =>
  (await ask('GET', `${path}/count?${query}`, { cookie: who.cookie })).body

t.test('pages hold everything once, newest first, and the count is of what is seen', async t => {
  const seen: string[] = []
  let cursor: string | null = ''
  for (let pages = 0; cursor !== null; pages += 1) {
    t.ok(pages < 10)
    const page: Awaited<ReturnType<typeof list>> = await list(`limit=25&cursor=${cursor}`)
    seen.push(...page.ids)
    cursor = page.next
  }
  t.equal(seen.length, 122)
  t.equal(new Set(seen).size, 122)
  t.equal(seen[0], 'open-run-1')
  t.same(await count(''), { count: 122, isMore: false })
  t.same(await count('', runner), { count: 2, isMore: false }, 'their own only')
  t.same((await list('', runner)).ids, ['open-run-1', 'theirs-1'])
  t.equal((await list('', stranger)).status, 404)
  t.equal((await ask('GET', `${path}/count`)).status, 401)
})

t.test('filters', async t => {
  t.same((await list('action=refund')).ids, ['theirs-1'])
  t.same((await list('status=failure')).ids, ['theirs-1'])
  t.same((await list('status=open')).ids, ['open-run-1'])
  t.same((await list('person=RUNNER@example.com')).ids, ['open-run-1', 'theirs-1'])
  t.same((await list(`from=${new Date(baseMs + 86_400_000).toISOString()}`)).ids, ['open-run-1'])
  t.same(await count(`until=${new Date(baseMs + 1_000).toISOString()}`), { count: 4, isMore: false })
  t.same((await list('search=100%25')).ids, ['theirs-1'], 'a percent sign is one')
  t.same((await list('search=%25')).ids, ['theirs-1'])
  t.same((await list('search=RUNNER')).ids, ['open-run-1', 'theirs-1'])
  t.same((await list('search=many-0007')).ids, ['many-0007'])
  t.same((await list('search=stranger')).ids, [])
  t.same((await list('search=owner', runner)).ids, [], 'nothing of others is found either')
  for (const wrong of ['limit=0', 'limit=101', 'status=odd', 'from=yesterday', 'cursor=x', 'colour=red']) {
    t.match(await list(wrong), { status: 400, body: { code: 'bad-request' } }, wrong)
  }
})

t.test('what a list can be narrowed down to', async t => {
  const declared = { backgroundable: false, warnOnClose: true, unlisted: false }
  await accounts.recordDeclarations(
    { organizationId: organization.id as never, environmentId: environment.id, developerId: null },
    [
      { slug: 'refund', name: 'Refund', ...declared } as never,
      { slug: 'payroll/raise', name: 'Raise salaries', ...declared } as never,
    ],
    [],
  )
  const facets = async (who: typeof owner) =>
    (await ask('GET', `${path}/facets`, { cookie: who.cookie })).body
  t.match(await facets(owner), {
    actions: [{ slug: 'payroll/raise' }, { slug: 'refund' }],
    people: [{ email: 'owner@example.com' }, { email: 'runner@example.com', name: 'runner' }],
  })
  t.same(
    await facets(runner),
    {
      actions: [
        { slug: 'refund', name: 'Refund 100%' },
        { slug: 'users/greet', name: 'Greet' },
      ],
      people: [],
    },
    'no names of what they have no runs of',
  )
})

t.test('one run, with what was entered, without secrets', async t => {
  const { body, text } = await ask('GET', '/api/v1/transactions/open-run-1', { cookie: runner.cookie })
  t.match(body, {
    host: 'host-1',
    params: { token: '••••••', of: 'all' },
    inputs: [
      {
        choice: 'go',
        fields: [
          { label: 'Name', value: '=1+1' },
          { label: 'New password', value: '••••••' },
          { label: 'Rows', value: [{ apiKey: '••••••', row: 1 }] },
          { label: 'File', value: { name: 'a.txt', type: 'text/plain', size: 3 } },
          { label: 'Long', value: '(too long to be kept)' },
        ],
      },
    ],
  })
  t.notMatch(text, /hunter2/)
  const { rows } = await database.query('select * from transactions')
  t.notMatch(JSON.stringify(rows), /hunter2/, 'nor are they stored')
})

t.test('exports: the same runs, whole', async t => {
  const exported = (query: string, who = owner) =>
    ask('GET', `${path}/export?${query}`, { cookie: who.cookie })
  const json = await exported('format=json')
  t.match(json.headers.get('content-disposition'), /attachment; filename="history.json"/)
  t.equal((JSON.parse(json.text) as unknown[]).length, 122)
  const csv = await exported('format=csv')
  t.equal(csv.text.trim().split('\r\n').length, 123)
  t.match(csv.headers.get('content-type'), /text\/csv/)
  t.same(JSON.parse((await exported('format=json&search=nothing')).text), [])
  t.equal((JSON.parse((await exported('format=json', runner)).text) as unknown[]).length, 2)
  t.equal((await exported('format=json', stranger)).status, 404)
  t.equal((await exported('format=xml')).status, 400)
  await accounts.writeHistory([
    run('formula-1', { name: '=HYPERLINK("http://evil")', slug: 'formula', resultData: 'a,"b"\n' }),
  ])
  const formula = await exported('format=csv&action=formula')
  t.match(formula.text, `,"'=HYPERLINK(""http://evil"")",`)
  await accounts.audits.flush()
  const rows = await accounts.audits.list({ organizationId: organization.id, name: 'transactions.exported' })
  t.equal(rows.length, 5)
})

t.test('an export that leaves runs out is called so', async t => {
  const { exportTransactions } = accounts
  t.teardown(() => Object.assign(accounts, { exportTransactions }))
  Object.assign(accounts, {
    exportTransactions: async (...all: Parameters<typeof exportTransactions>) => ({
      ...(await exportTransactions(...all)),
      isCut: true,
    }),
  })
  const { headers } = await ask('GET', `${path}/export?format=csv`, { cookie: owner.cookie })
  t.match(headers.get('content-disposition'), /attachment; filename="history-newest-100000.csv"/)
})

t.test('who reads an export slowly keeps nobody else waiting', async t => {
  const filler = 'x'.repeat(20_000)
  const long = Array.from({ length: 300 }, (_, index) =>
    run(`long-${index}`, { resultData: filler, slug: 'long' }),
  )
  await accounts.writeHistory(long)
  const reading = new AbortController()
  const exported = (org: string, who: typeof owner, signal?: AbortSignal) =>
    fetch(`${origin}${path.replace('/ours/', `/${org}/`)}/export?format=json`, {
      headers: { cookie: who.cookie },
      ...(signal && { signal }),
    })
  const slow = await exported('ours', owner, reading.signal)
  t.equal(slow.status, 200)
  await eventually(async () => {
    const second = await exported('ours', owner)
    await second.text()
    if (second.status !== 503) throw new Error(`${second.status}`)
  })
  t.equal((await exported('theirs', stranger)).status, 200, 'another organization')
  reading.abort()
  await eventually(async () => {
    const next = await exported('ours', owner)
    await next.text()
    if (next.status !== 200) throw new Error(`${next.status}`)
  })
})

t.test('a console shows its developer their own', async t => {
  const console_ = path.replace('production', 'development')
  const ids = async (who: typeof owner) => {
    const { body } = await ask('GET', console_, { cookie: who.cookie })
    return ((body.transactions ?? []) as { id: string }[]).map(({ id }) => id)
  }
  t.same(await ids(owner), ['console-1'])
  t.same(await ids(runner), [])
})

t.test('a run whose person is deleted while it is written is written all the same', async t => {
  let refusals = 1
  const racing: Queryable = {
    query: (text, values) => {
      if (refusals === 0 || !text.includes('insert into transactions')) return database.query(text, values)
      refusals -= 1
      return Promise.reject(new AppError('not-found'))
    },
  }
  await writeHistory(racing, [run('raced-1')], silentLog)
  t.same((await list('search=raced-1')).ids, ['raced-1'])
})
