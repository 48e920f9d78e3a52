/**
 * The moving part of a table: which page, which order, which query, and whether the host has to be asked. When it
 * holds only a window of the rows, every change becomes a SET_STATE and a later render is the answer; until then the
 * old rows stay with the query and the order that they obey, marked as waiting.
 *
 * What can go wrong: hosts answer one change with two equal renders, and the wire does not say to which question a
 * render belongs. The second of them must not be taken for the answer to the next question. So a render that shows what
 * is on screen already counts as an answer only when nothing else has come for a moment; and who asks for certain rows
 * (a download, all keys) says which render will do. A cleared filter shows at once the rows that were there without it,
 * and what the host says of them as soon as it does.
 */
import { useEffect, useMemo, useRef, useState } from 'react'
import type { Props } from '../props.js'
import {
  type Column,
  filteredRows,
  type Row,
  type Sort,
  sortedRows,
  type Table,
  tableOf,
} from './table-model.js'

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
  /** Rows beyond those at hand can be had. */
  canAsk: boolean
  setOffset: (offset: number) => void
  toggleSort: (cellKey: string) => void
  setQuery: (query: string) => void
  /** Every row that matches. Rejects when the host does not answer. */
  allRows: (onProgress: (count: number) => void) => Promise<readonly Row[]>
  /** Asks the host for the keys of all rows that match, where not all of them are here; for tables to select from. */
  askAllKeys: (() => Promise<string[]>) | null
}

/** What a person wants to see of a table. */
interface View {
  offset: number
  sort: Sort | null
  query: string
}

/** What is on screen, and which of the host's renders it is. */
interface Shown extends View {
  props: Props
  /** The newest render. Not what is on screen where rows are shown from memory. */
  newest: Props
  /** Where the rows at hand begin. */
  windowOffset: number
}

const answerMsMax = 15_000
/** After this time a render that shows nothing new is an answer too, in ms. */
const repeatMs = 400
const downloadWindow = 500
const downloadRowsMax = 100_000
/** Hosts send windows of this many pages, and at most so many rows. */
const windowPages = 3
const windowRowsMax = 500

const start: View = { offset: 0, sort: null, query: '' }

/** `columns` replaces what the props name, for grids. */
export function useTable(
  props: Props,
  onState: ((state: unknown) => void) | undefined,
  columns?: readonly Column[],
): TableState {
  const incoming = useMemo(() => tableOf(props), [props])
  // Judged by the first render alone: filtering shrinks what is known, and after a reload only a window may be here.
  const [isRemote] = useState(!incoming.holdsAll || (onState !== undefined && !isFirstWindow(incoming)))
  const [mustAsk] = useState(isRemote && (incoming.isAsync || !isFirstWindow(incoming)))
  const [shown, setShown] = useState<Shown>({ ...start, props, newest: props, windowOffset: 0 })
  const [pending, setPending] = useState<View | null>(mustAsk && onState ? start : null)
  const [isRepeated, setRepeated] = useState(false)
  /** Takes renders away from the screen while rows or keys are collected; true when it was the one waited for. */
  const collector = useRef<((table: Table, props: Props) => boolean) | null>(null)
  const isCollecting = useRef(false)
  const collected = useRef<Props | null>(null)

  if (props !== shown.newest && props !== collected.current && !isCollecting.current) {
    const isFromMemory = shown.newest !== shown.props
    const isOld = isFromMemory && isSameWindow(incoming, tableOf(shown.newest))
    const isRepeat = pending !== null && (isOld || isSameWindow(incoming, tableOf(shown.props)))
    if (pending !== null && !isRepeat) {
      setShown({ ...pending, props, newest: props, windowOffset: pending.offset })
      setPending(null)
      setRepeated(false)
    } else {
      // One may have paged on in remembered rows, beyond what the host sends for the first page.
      const isShort = isFromMemory && shown.windowOffset + incoming.rows.length <= shown.offset
      setShown({ ...shown, newest: props, ...(!isOld && !isShort && { props }) })
      setRepeated(isRepeat)
    }
  }
  useEffect(() => {
    if (!isRepeated || pending === null) return
    const timer = setTimeout(() => {
      setShown(known => ({ ...known, ...pending, windowOffset: pending.offset }))
      setPending(null)
      setRepeated(false)
    }, repeatMs)
    return () => clearTimeout(timer)
  }, [isRepeated, pending])

  /** The first page without a query, as it was last seen: what a cleared filter shows while the host is asked. */
  const home = useRef<Shown | null>(null)
  useEffect(() => {
    if (pending === null && shown.query === '' && shown.offset === 0 && shown.windowOffset === 0)
      home.current = shown
  }, [shown, pending])

  useEffect(() => {
    if (!isCollecting.current) return
    collected.current = props
    collector.current?.(incoming, props)
  }, [incoming, props])

  const table = useMemo(() => {
    const known = tableOf(shown.props)
    return columns ? { ...known, columns: [...columns] } : known
  }, [shown.props, columns])
  const { pageSize } = table

  const send = ({ offset, sort, query }: View, more: { pageSize?: number; isSelectAll?: boolean } = {}) => {
    const column = table.columns.find(known => known.cellKey === sort?.cellKey)
    onState?.({
      ...(query === '' ? {} : { queryTerm: query }),
      ...(sort && column?.accessorKey !== undefined
        ? { sortColumn: column.accessorKey, sortDirection: sort.direction }
        : {}),
      offset,
      pageSize: more.pageSize ?? pageSize,
      ...(more.isSelectAll ? { isSelectAll: true } : {}),
    })
  }

  const hasAsked = useRef(false)
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the table appears
  useEffect(() => {
    if (hasAsked.current || !mustAsk) return
    hasAsked.current = true
    send(start)
  }, [])

  const move = (change: Partial<View>) => {
    const from = pending ?? shown
    const next: View = { offset: from.offset, sort: from.sort, query: from.query, ...change }
    const isSameOrder = next.sort === shown.sort && next.query === shown.query
    const inWindow =
      next.offset >= shown.windowOffset && next.offset + pageSize <= shown.windowOffset + table.rows.length
    const isEnd = table.total !== null && shown.windowOffset + table.rows.length >= table.total
    if (!isRemote || (isSameOrder && next.offset >= shown.windowOffset && (inWindow || isEnd))) {
      setShown({ ...shown, ...next })
      setPending(null)
      return
    }
    if (!onState) return
    const known = home.current
    const isCleared = next.query === '' && shown.query !== '' && next.offset === 0
    if (isCleared && known !== null && isSameSort(known.sort, next.sort))
      setShown({ ...known, newest: shown.newest })
    setPending(next)
    setRepeated(false)
    send(next)
  }

  /** Sends a state and waits for the render that will do. */
  const collect = <Result>(
    ask: () => void,
    read: (table: Table, props: Props) => Result | undefined,
  ): Promise<Result> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        collector.current = null
        reject(new Error('The host did not answer in time.'))
      }, answerMsMax)
      collector.current = (answer, answerProps) => {
        const result = read(answer, answerProps)
        if (result === undefined) return false
        clearTimeout(timer)
        collector.current = null
        resolve(result)
        return true
      }
      ask()
    })

  const matching = useMemo(
    () =>
      isRemote
        ? table.rows
        : sortedRows(filteredRows(table.rows, table.columns, shown.query, columns !== undefined), shown.sort),
    [isRemote, table, shown.query, shown.sort, columns],
  )

  const allRows = async (onProgress: (count: number) => void): Promise<readonly Row[]> => {
    if (!isRemote || !onState) return matching
    const present: View = { offset: shown.windowOffset, sort: shown.sort, query: shown.query }
    const rows = new Map<string, Row>()
    isCollecting.current = true
    try {
      while (rows.size < downloadRowsMax) {
        const offset = rows.size
        const part = await collect(
          () => send({ ...present, offset }, { pageSize: downloadWindow }),
          // A window that begins with a row seen before is the echo of an earlier question.
          answer => (rows.has(answer.rows[0]?.key ?? '') ? undefined : answer),
        )
        for (const row of part.rows) rows.set(row.key, row)
        onProgress(rows.size)
        if (part.rows.length === 0 || (part.total !== null && rows.size >= part.total)) break
      }
      // The host's renders show again what is on screen.
      await collect(
        () => send(present),
        answer => (answer.rows[0]?.key === table.rows[0]?.key ? true : undefined),
      ).catch(() => undefined)
      return [...rows.values()]
    } finally {
      isCollecting.current = false
    }
  }

  const askAllKeys = async (): Promise<string[]> => {
    isCollecting.current = true
    try {
      return await collect(
        () =>
          send({ offset: shown.windowOffset, sort: shown.sort, query: shown.query }, { isSelectAll: true }),
        (answer, { selectedKeys }) => {
          const keys = Array.isArray(selectedKeys) ? selectedKeys.map(String) : []
          return keys.length > 0 || answer.total === 0 ? keys : undefined
        },
      )
    } finally {
      isCollecting.current = false
    }
  }

  const total = isRemote ? remoteTotal(table, shown, columns !== undefined) : matching.length
  const from = isRemote ? Math.max(0, shown.offset - shown.windowOffset) : shown.offset
  const page = matching.slice(from, from + pageSize)
  const wanted = pending ?? shown
  return {
    table,
    page,
    matching,
    offset: shown.offset,
    pageSize,
    total,
    hasNext: total === null ? page.length === pageSize : shown.offset + pageSize < total,
    sort: shown.sort,
    query: shown.query,
    isWaiting: pending !== null,
    canAsk: !isRemote || onState !== undefined,
    setOffset: offset => move({ offset }),
    toggleSort: cellKey => move({ offset: 0, sort: nextSort(wanted.sort, cellKey) }),
    setQuery: query => move({ offset: 0, query }),
    allRows,
    askAllKeys: isRemote && onState ? askAllKeys : null,
  }
}

/** Up, down, as it came. */
function nextSort(sort: Sort | null, cellKey: string): Sort | null {
  if (sort?.cellKey !== cellKey) return { cellKey, direction: 'asc' }
  return sort.direction === 'asc' ? { cellKey, direction: 'desc' } : null
}

function isSameSort(a: Sort | null, b: Sort | null): boolean {
  return a?.cellKey === b?.cellKey && a?.direction === b?.direction
}

/** Hosts number rows from nothing on; what begins elsewhere or has gaps was asked for before. */
function isFirstWindow(table: Table): boolean {
  return table.rows.every((row, index) => row.key === String(index))
}

function isSameWindow(a: Table, b: Table): boolean {
  return (
    a.total === b.total &&
    a.rows.length === b.rows.length &&
    a.rows.every((row, index) => row.key === b.rows[index]?.key)
  )
}

/** Grids that are filtered still tell the number of all their items; how many there are is then seen from the window. */
function remoteTotal(table: Table, shown: Shown, isGrid: boolean): number | null {
  if (!isGrid || table.isAsync || shown.query === '') return table.total
  const isWhole = table.rows.length < Math.min(table.pageSize * windowPages, windowRowsMax)
  return isWhole ? shown.windowOffset + table.rows.length : null
}
