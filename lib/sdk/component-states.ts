/**
 * SET_STATE: what a person typed into a search field or how a table is paged, per IO method.
 *
 * Hosts validate states too, but log and ignore a wrong one, and the person would wait for an answer that never comes.
 * Built anew from known fields; absent rather than null, which is what all versions accept.
 */
import { isRecord } from './json.js'

/** A state the host would accept, or undefined. */
export type State = Readonly<Record<string, unknown>>

const queryCharactersMax = 10_000
const offsetMax = 1_000_000_000
const pageSizeMax = 1_000_000
const filesMax = 1_000

/** Parses the state of one component; undefined when it is wrong or the method has no state. */
export function componentState(methodName: string, value: unknown): State | undefined {
  if (!isRecord(value)) return undefined
  switch (methodName) {
    case 'SEARCH':
    case 'SELECT_SINGLE':
      return isQuery(value.queryTerm) ? { queryTerm: value.queryTerm } : undefined
    case 'UPLOAD_FILE':
      return fileState(value.files)
    case 'DISPLAY_GRID':
      return pageState(value, false)
    case 'DISPLAY_TABLE':
      return pageState(value, true)
    case 'SELECT_TABLE': {
      const page = pageState(value, true)
      if (page === undefined || !isOptional(value.isSelectAll, 'boolean')) return undefined
      return { ...page, isSelectAll: value.isSelectAll === true }
    }
    default:
      return undefined
  }
}

function fileState(files: unknown): State | undefined {
  if (!Array.isArray(files) || files.length > filesMax) return undefined
  const named: State[] = []
  for (const file of files) {
    if (!isRecord(file) || typeof file.name !== 'string' || typeof file.type !== 'string') return undefined
    named.push({ name: file.name, type: file.type })
  }
  return { files: named }
}

function pageState(value: Record<string, unknown>, isSortable: boolean): State | undefined {
  const { queryTerm, offset, pageSize, sortColumn, sortDirection } = value
  if (!isWhole(pageSize, 1, pageSizeMax) || !isWhole(offset ?? 0, 0, offsetMax)) return undefined
  if (!isAbsent(queryTerm) && !isQuery(queryTerm)) return undefined
  if (!isOptional(sortColumn, 'string')) return undefined
  if (!isAbsent(sortDirection) && sortDirection !== 'asc' && sortDirection !== 'desc') return undefined
  return {
    offset: offset ?? 0,
    pageSize,
    ...(!isAbsent(queryTerm) && { queryTerm }),
    ...(isSortable && !isAbsent(sortColumn) && { sortColumn }),
    ...(isSortable && !isAbsent(sortDirection) && { sortDirection }),
  }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

function isOptional(value: unknown, type: 'string' | 'boolean'): boolean {
  return isAbsent(value) || typeof value === type
}

function isQuery(value: unknown): value is string {
  return typeof value === 'string' && value.length <= queryCharactersMax
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}
