/** The audit log of an organization: pages of it, and files. */
import { z } from 'zod'
import type { AuditLogRow } from '../accounts/index.js'
import { askerOf, type Context, checked } from './context.js'
import { csvOf } from './csv.js'
import { limitOf } from './page-limit.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

const filterShape = z.object({
  person: z.string().max(320).optional(),
  event: z.string().max(100).optional(),
  from: z.string().max(40).optional(),
  to: z.string().max(40).optional(),
})

const filterWords = {
  person: 'Id or address.',
  event: 'Name of an event.',
  from: 'ISO time: not before.',
  to: 'ISO time: not after.',
}

export function addAuditRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const
  const audit = '/api/v1/organizations/:org/audit'

  http.route(
    'GET',
    audit,
    {
      ...browser,
      api: {
        tag: 'Audit log',
        summary: 'Who did what, newest first',
        query: { ...filterWords, cursor: 'The `next` of the page before.', limit: 'Of a page.' },
      },
    },
    async context => {
      const page = await context.accounts.auditLog(await askerOf(context), {
        ...filterOf(context),
        cursor: context.query.get('cursor') ?? undefined,
        ...limitOf(context.query.get('limit')),
      })
      return ok(page, { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'GET',
    `${audit}/events`,
    { ...browser, api: { tag: 'Audit log', summary: 'Names of the events there are' } },
    async context => {
      return ok({ events: await context.accounts.auditEvents(await askerOf(context)) })
    },
  )

  http.route(
    'GET',
    `${audit}/export`,
    {
      ...browser,
      api: {
        tag: 'Audit log',
        summary: 'All of it as CSV or JSON',
        query: { ...filterWords, format: 'csv or json.' },
      },
    },
    async context => {
      const by = await askerOf(context)
      const { format } = checked(
        { format: context.query.get('format') ?? 'csv' },
        z.object({ format: z.enum(['csv', 'json']) }),
      )
      const rows = await context.accounts.exportAuditLog(by, filterOf(context))
      const name = `audit-${context.params.org}.${format}`
      return {
        status: 200,
        headers: {
          'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json',
          'content-disposition': `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"`,
          'cache-control': 'no-store',
        },
        body: format === 'csv' ? csvOf(columns, rows.map(cellsOf)) : JSON.stringify(rows, null, 2),
      }
    },
  )
}

function filterOf({ query }: Context) {
  const said = Object.keys(filterShape.shape).flatMap(name => {
    const value = query.get(name)
    return value === null || value === '' ? [] : [[name, value] as const]
  })
  return checked(Object.fromEntries(said), filterShape)
}

const columns = ['time', 'event', 'person', 'address', 'details'] as const

function cellsOf({ at, event, person, address, details }: AuditLogRow): string[] {
  return [at, event, person?.email ?? person?.id ?? '', address ?? '', JSON.stringify(details)]
}
