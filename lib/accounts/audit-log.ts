/**
 * The audit log of an organization as its administrators read it: who did what, newest first. Rows are written by
 * audit.ts and by nobody else; here they are only read.
 */
import { AppError } from '../errors.js'
import type { Asker, Guard } from './guard.js'
import { decodeCursor, encodeCursor } from './page-cursor.js'

export interface AuditLogRow {
  readonly id: string
  readonly at: string
  /** E.g. `member.removed`. */
  readonly event: string
  /** Null for what nobody who is signed in has done; their address may be gone with their account. */
  readonly person: { readonly id: string; readonly email: string | null } | null
  readonly address: string | null
  readonly details: Readonly<Record<string, unknown>>
}

export interface AuditLogFilter {
  /** Part of the e-mail address of who did it. */
  readonly person?: string | undefined
  readonly event?: string | undefined
  /** From this moment on, ISO 8601. */
  readonly from?: string | undefined
  /** Before this moment, ISO 8601. */
  readonly to?: string | undefined
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

export interface AuditLogAccounts {
  /** Rejects with `forbidden`, and `bad-request` for what is no moment. */
  auditLog(by: Asker, filter: AuditLogFilter): Promise<{ rows: AuditLogRow[]; next: string | null }>
  /** All that fits, newest first, so many at most; the export is in the log itself. Rejects as `auditLog` does. */
  exportAuditLog(by: Asker, filter: AuditLogFilter): Promise<AuditLogRow[]>
  /** The kinds of events among the newest rows, for a filter. */
  auditEvents(by: Asker): Promise<string[]>
}

const pageRows = 50
/** A file that is still opened by what people open such files with, and fits into memory. */
export const exportedRowsMax = 10_000
const recentRowsMax = 10_000

export function createAuditLog(guard: Guard): AuditLogAccounts {
  const { database } = guard

  const read = async (
    organizationId: string,
    filter: AuditLogFilter,
    limit: number,
  ): Promise<{ rows: AuditLogRow[]; next: string | null }> => {
    const [beforeAt = null, beforeId = null] = decodeCursor(filter.cursor, 2)
    const { rows } = await database.query<{
      id: string
      at: Date
      at_text: string
      name: string
      person_id: string | null
      email: string | null
      address: string | null
      details: Record<string, unknown>
    }>(
      `select audit_log.id, at, at::text as at_text, name, person_id, email, address, details
       from audit_log left join people on people.id = person_id
       where organization_id = $1 and ($2::text is null or name = $2)
         and ($3 = '' or position(lower($3) in lower(email)) > 0)
         and ($4::timestamptz is null or at >= $4) and ($5::timestamptz is null or at < $5)
         and ($6::timestamptz is null or (at, audit_log.id) < ($6, $7::text))
       order by at desc, audit_log.id desc limit $8`,
      [
        organizationId,
        filter.event ?? null,
        filter.person?.trim() ?? '',
        momentOf('from', filter.from),
        momentOf('to', filter.to),
        beforeAt === null ? null : momentText(beforeAt),
        beforeId,
        limit + 1,
      ],
    )
    const shown = rows.slice(0, limit)
    const last = shown.at(-1)
    return {
      rows: shown.map(row => ({
        id: row.id,
        at: row.at.toISOString(),
        event: row.name,
        person: row.person_id === null ? null : { id: row.person_id, email: row.email },
        address: row.address,
        details: row.details,
      })),
      // As text: the database counts microseconds, a Date does not.
      next: rows.length > limit && last ? encodeCursor([last.at_text, last.id]) : null,
    }
  }

  return {
    async auditLog(by, filter) {
      const { organization } = await guard.member(by, 'WRITE_ORG_SETTINGS', 'read the audit log')
      return read(organization.id, filter, filter.limit ?? pageRows)
    },
    async exportAuditLog(by, filter) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'export the audit log')
      const { rows } = await read(actor.organization.id, filter, exportedRowsMax)
      guard.changed(by, actor, 'audit.exported', { rows: rows.length })
      return rows
    },
    async auditEvents(by) {
      const { organization } = await guard.member(by, 'WRITE_ORG_SETTINGS', 'read the audit log')
      const { rows } = await database.query<{ name: string }>(
        `select distinct name from (select name from audit_log where organization_id = $1
           order by at desc limit ${recentRowsMax}) as recent order by name`,
        [organization.id],
      )
      return rows.map(row => row.name)
    },
  }
}

function momentOf(field: string, text: string | undefined): Date | null {
  if (text === undefined || text === '') return null
  const moment = new Date(text)
  if (!Number.isNaN(moment.getTime())) return moment
  throw new AppError('bad-request', `${field}: not a moment`, { fields: { [field]: 'not a moment' } })
}

/** A moment out of a cursor, as the database wrote it. */
function momentText(text: string): string {
  if (/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-][\d:]+$/.test(text)) return text
  throw new AppError('bad-request', 'The cursor is not valid.', { fields: { cursor: 'not valid' } })
}
