/**
 * The history of runs: looked through, and taken away as CSV or JSON. Whose runs somebody sees is decided in SQL, by the
 * accounts; here are the words of a filter and the shape of a file.
 *
 * What can go wrong: an export is long. It is read page by page as fast as the reader takes it, ends at a bound of runs
 * and of time, and a node makes few at once, of one organization only one: who reads slowly keeps nobody else waiting.
 */
import { z } from 'zod'
import type { ExportedTransaction, TransactionFilter } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import { csvLine } from './csv.js'
import { ok, type Reply } from './reply.js'
import type { HttpServer } from './server.js'

const path = '/api/v1/organizations/:org/environments/:env/transactions'

/** What a file is called that leaves runs out: there is no place inside of CSV to say it. */
const cutName = `history-newest-${limits.historyExportRowsMax}`

const statuses = {
  open: 'OPEN',
  success: 'SUCCESS',
  failure: 'FAILURE',
  canceled: 'CANCELED',
  redirected: 'REDIRECTED',
} as const

const flag = z.enum(['0', '1', 'true', 'false']).transform(word => word === '1' || word === 'true')
const time = z.iso.datetime({ offset: true }).transform(text => Date.parse(text))

const filterShape = z
  .object({
    mine: flag.optional(),
    open: flag.optional(),
    action: z.string().min(1).max(512).optional(),
    person: z.string().min(1).max(320).optional(),
    status: z.enum(['open', 'success', 'failure', 'canceled', 'redirected']).optional(),
    from: time.optional(),
    until: time.optional(),
    search: z.string().trim().min(1).max(200).optional(),
    cursor: z.string().max(200).optional(),
    limit: z.coerce.number().int().min(1).max(100).optional(),
  })
  .strict()

/** The filter that a query asks for. Throws `bad-request`, naming the parameters that are wrong. */
export function transactionFilterOf(query: URLSearchParams): TransactionFilter {
  const given = Object.fromEntries([...query].filter(([name, value]) => value !== '' && name !== 'format'))
  const parsed = filterShape.safeParse(given)
  if (!parsed.success) {
    const fields: Record<string, string> = {}
    for (const issue of parsed.error.issues) fields[issue.path.join('.') || 'query'] ??= issue.message
    const words = Object.entries(fields).map(([name, message]) => `${name}: ${message}`)
    throw new AppError('bad-request', words.join('; '), { fields })
  }
  const { status, from, until, limit, mine, open, ...others } = parsed.data
  return {
    ...others,
    ...(mine !== undefined && { mine }),
    ...(open !== undefined && { open }),
    ...(limit !== undefined && { limit }),
    ...(status !== undefined && { status: statuses[status] }),
    ...(from !== undefined && { fromMs: from }),
    ...(until !== undefined && { untilMs: until }),
  }
}

/** What a list of runs can be narrowed down to, for the description of the API. */
const filterWords = {
  action: 'Full path of an action.',
  person: 'Email address of who started it.',
  status: 'open, success, failure, canceled or redirected.',
  from: 'ISO time: started then or later.',
  until: 'ISO time: started before.',
  search: 'Part of the name of an action or a person, or the id of a run.',
} as const

export function addHistoryRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const
  /** Slugs of the organizations whose history is being exported. */
  const exports: string[] = []

  /** Counts from the first piece that is read to the end, however that comes. */
  async function* counted(organization: string, text: AsyncGenerator<string>): AsyncGenerator<Uint8Array> {
    const untilMs = performance.now() + limits.historyExportMsMax
    exports.push(organization)
    try {
      for await (const piece of text) {
        if (performance.now() > untilMs) throw new AppError('timeout', 'The export took too long.')
        yield Buffer.from(piece)
      }
    } finally {
      exports.splice(exports.indexOf(organization), 1)
    }
  }

  http.route(
    'GET',
    `${path}/count`,
    {
      ...browser,
      api: { tag: 'History', summary: 'How many runs there are, up to 10,000', query: filterWords },
    },
    async context => {
      const user = await context.person()
      const { org = '', env = '' } = context.params
      const filter = transactionFilterOf(context.query)
      return ok(await context.accounts.countTransactions(user.id, org, env, filter))
    },
  )

  http.route(
    'GET',
    `${path}/facets`,
    { ...browser, api: { tag: 'History', summary: 'What a list of runs can be narrowed down to' } },
    async context => {
      const user = await context.person()
      const { org = '', env = '' } = context.params
      return ok(await context.accounts.transactionFacets(user.id, org, env))
    },
  )

  http.route(
    'GET',
    `${path}/export`,
    {
      ...browser,
      api: {
        tag: 'History',
        summary: `All runs of a list as a file, the newest ${limits.historyExportRowsMax.toLocaleString('en-US')} at most; of more, the name of the file says so`,
        query: { ...filterWords, format: 'csv or json.' },
      },
    },
    async (context): Promise<Reply> => {
      const user = await context.person()
      const { org = '', env = '' } = context.params
      const format = context.query.get('format') ?? 'csv'
      if (format !== 'csv' && format !== 'json') {
        throw new AppError('bad-request', 'format: csv or json', { fields: { format: 'csv or json' } })
      }
      const filter = transactionFilterOf(context.query)
      if (context.method === 'HEAD') return { status: 200 }
      if (exports.length >= limits.historyExportsMax || exports.includes(org))
        throw new AppError('queue-full', 'Others are being exported right now. Try again shortly.')
      const { pages, isCut } = await context.accounts.exportTransactions(
        user.id,
        org,
        env,
        filter,
        context.origin,
      )
      return {
        status: 200,
        headers: {
          'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json',
          'content-disposition': `attachment; filename="${isCut ? cutName : 'history'}.${format}"`,
          'cache-control': 'no-store',
        },
        stream: counted(org, format === 'csv' ? csvOf(pages) : jsonOf(pages)),
      }
    },
  )
}

async function* jsonOf(pages: AsyncGenerator<readonly ExportedTransaction[]>): AsyncGenerator<string> {
  let before = '['
  for await (const page of pages) {
    for (const run of page) {
      yield `${before}\n${JSON.stringify(run)}`
      before = ','
    }
  }
  yield before === '[' ? '[]\n' : '\n]\n'
}

const columns: readonly (readonly [string, (run: ExportedTransaction) => unknown])[] = [
  ['id', run => run.id],
  ['action', run => run.slug],
  ['name', run => run.name],
  ['result', run => run.resultStatus ?? 'OPEN'],
  ['person', run => run.owner?.email],
  ['started', run => run.createdAt],
  ['ended', run => run.completedAt],
  ['host', run => run.hostId],
  ['params', run => JSON.stringify(run.params)],
  ['inputs', run => JSON.stringify(run.inputs)],
  ['value', run => (run.resultData === null ? null : JSON.stringify(run.resultData))],
]

async function* csvOf(pages: AsyncGenerator<readonly ExportedTransaction[]>): AsyncGenerator<string> {
  yield csvLine(columns.map(([name]) => name))
  for await (const page of pages) {
    yield page.map(run => csvLine(columns.map(([, read]) => String(read(run) ?? '')))).join('')
  }
}
