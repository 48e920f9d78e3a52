/**
 * The moving part of a table: which page, which order, which query, and whether the host has to be asked. When it
 * holds only a window of the rows, every change becomes a SET_STATE and the next render is the answer; until then the
 * old rows stay, marked as waiting. Asynchronous tables come empty and ask for their first page at once.
 */
import { useEffect, useMemo, useRef, useState } from 'react'
import type { Props } from '../props.js'
import { filteredRows, type Row, type Sort, sortedRows, type Table, tableOf } from './table-model.js'

export interface TableState {
  table: Table
  /** The rows of the present page. */
  page: readonly Row[]
  /** All rows that match, as far as they are here. */
  matching: readonly Row[]
  offset: number
  pageSize: number
  total: number | null
  hasNext: boolean
  sort: Sort | null
  /** The query that the rows obey. */
  query: string
  isWaiting: boolean
  setOffset: (offset: number) => void
  toggleSort: (cellKey: string) => void
  setQuery: (query: string) => void
  /** Asks the host for rows without moving the table; used to download all of them. */
  ask: ((offset: number, pageSize: number) => Promise<Table>) | null
  /** Asks the host for the keys of all rows that match, where not all of them are here; for tables to select from. */
  askAllKeys: (() => Promise<string[]>) | null
}

const answerMsMax = 15_000

export function useTable(props: Props, onState: ((state: unknown) => void) | undefined): TableState {
  const table = useMemo(() => tableOf(props), [props])
  const [offset, setOffset] = useState(0)
  const [sort, setSort] = useState<Sort | null>(null)
  const [query, setQuery] = useState('')
  const [isWaiting, setWaiting] = useState(table.isAsync && table.rows.length === 0)
  const [windowOffset, setWindowOffset] = useState(0)
  const asked = useRef<((table: Table, props: Props) => void) | null>(null)
  const wasAsked = useRef(false)
  // Filtering shrinks what is known; whether the host has everything is judged by the unfiltered table.
  const [isRemote] = useState(!table.holdsAll)
  const { pageSize } = table

  const send = (next: {
    offset: number
    sort: Sort | null
    query: string
    pageSize?: number
    isSelectAll?: boolean
  }) => {
    const column = table.columns.find(known => known.cellKey === next.sort?.cellKey)
    onState?.({
      ...(next.query === '' ? {} : { queryTerm: next.query }),
      ...(next.sort && column?.accessorKey !== undefined
        ? { sortColumn: column.accessorKey, sortDirection: next.sort.direction }
        : {}),
      offset: next.offset,
      pageSize: next.pageSize ?? pageSize,
      ...(next.isSelectAll ? { isSelectAll: true } : {}),
    })
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the table appears
  useEffect(() => {
    if (wasAsked.current || !table.isAsync || !onState) return
    wasAsked.current = true
    setWaiting(true)
    send({ offset: 0, sort: null, query: '' })
  }, [])

  // A new render is the answer to what was asked last.
  const lastProps = useRef(props)
  useEffect(() => {
    if (lastProps.current === props) return
    lastProps.current = props
    setWaiting(false)
    asked.current?.(table, props)
    asked.current = null
  }, [props, table])

  const move = (next: { offset: number; sort: Sort | null; query: string }) => {
    setOffset(next.offset)
    setSort(next.sort)
    setQuery(next.query)
    if (!isRemote) return
    const isSameOrder = next.sort === sort && next.query === query
    const inWindow =
      isSameOrder && next.offset >= windowOffset && next.offset + pageSize <= windowOffset + table.rows.length
    if (inWindow) return
    setWaiting(true)
    setWindowOffset(next.offset)
    send(next)
  }

  /** Sends a state and reads the next render; rejects when none comes. */
  const answerTo = <Result>(
    next: { offset: number; pageSize?: number; isSelectAll?: boolean },
    read: (table: Table, props: Props) => Result,
  ): Promise<Result> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('The host did not answer in time.')), answerMsMax)
      asked.current = (answer, answerProps) => {
        clearTimeout(timer)
        resolve(read(answer, answerProps))
      }
      send({ ...next, sort, query })
    })

  const matching = useMemo(
    () => (isRemote ? table.rows : sortedRows(filteredRows(table.rows, table.columns, query), sort)),
    [isRemote, table, query, sort],
  )
  const total = isRemote ? table.total : matching.length
  const from = isRemote ? Math.max(0, offset - windowOffset) : offset
  const page = matching.slice(from, from + pageSize)
  return {
    table,
    page,
    matching,
    offset,
    pageSize,
    total,
    hasNext: total === null ? page.length === pageSize : offset + pageSize < total,
    sort,
    query,
    isWaiting,
    setOffset: next => move({ offset: next, sort, query }),
    toggleSort: cellKey => {
      const isAscending = sort?.cellKey === cellKey && sort.direction === 'asc'
      move({ offset: 0, sort: { cellKey, direction: isAscending ? 'desc' : 'asc' }, query })
    },
    setQuery: next => move({ offset: 0, sort, query: next }),
    ask: isRemote && onState ? (at, size) => answerTo({ offset: at, pageSize: size }, known => known) : null,
    askAllKeys:
      isRemote && onState
        ? () =>
            // The window that is on screen comes back with the keys.
            answerTo({ offset: windowOffset, isSelectAll: true }, (_table, answer) =>
              Array.isArray(answer.selectedKeys) ? answer.selectedKeys.map(String) : [],
            )
        : null,
  }
}
