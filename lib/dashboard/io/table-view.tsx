/**
 * A table on screen. The header's row carries no `role="row"`, body rows do; every menu stays inside `.iv-table`;
 * `data-pw-search` on the element that holds the rows changes in the same render as they do.
 */
import { MenuButton, MenuItem, MenuProvider } from '@ariakit/react'
import {
  lazy,
  type ReactNode,
  type RefObject,
  Suspense,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from 'react'
import type { Place } from '../../clients/wire.js'
import { AppLink } from '../components/app-link.js'
import { saveFile } from '../components/download-button.js'
import { Icon } from '../components/icon.js'
import { LinkItem } from '../components/link-item.js'
import { Menu } from '../components/menu.js'
import { targetOf } from '../links.js'
import { flagOf, isRecord, type Props, textOf } from '../props.js'
import { Picture, pictureSource } from './picture.js'
import {
  type Column,
  cellText,
  csvOf,
  hasMarkdown,
  isGiven,
  type Row,
  rangeText,
  sheetRows,
} from './table-model.js'
import { type TableState, useTable } from './use-table.js'

export interface Selection {
  keys: readonly string[]
  /** A click on another row replaces the selection. */
  isSingle: boolean
  isDisabled: boolean
  onChange: (keys: string[]) => void
}

const MarkdownView = lazy(() => import('./markdown-view.js'))

interface TableViewProps {
  id: string
  label: string
  props: Props
  place: Place
  onState?: ((state: unknown) => void) | undefined
  selection?: Selection
}

const shortCharactersMax = 24
const filterDelayMs = 500

export function TableView({ id, label, props, place, onState, selection }: TableViewProps) {
  const state = useTable(props, onState)
  const isVertical = textOf(props, 'orientation') === 'vertical' && selection === undefined
  const isEmpty = state.page.length === 0
  const frame = useRef<HTMLDivElement>(null)
  const isTooWide = useIsTooWide(frame)
  const pagination = <Pagination state={state} />
  return (
    <div
      className={`iv-table card min-w-0 ${state.isWaiting ? 'opacity-70' : ''}`}
      aria-busy={state.isWaiting}
    >
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-line px-3 py-2">
        {state.table.isFilterable && <Filter state={state} id={id} />}
        <div className="ml-auto flex items-center gap-2">
          {!isEmpty && pagination}
          <TableOptions state={state} label={label} />
        </div>
      </div>
      <div ref={frame} className={`relative ${isTooWide ? 'overflow-x-auto' : 'overflow-x-clip'}`}>
        {isVertical ? (
          <VerticalRows state={state} label={label} place={place} />
        ) : (
          <HorizontalRows
            state={state}
            id={id}
            label={label}
            place={place}
            selection={selection}
            staysInView={!isTooWide}
          />
        )}
      </div>
      {!isEmpty && <div className="flex justify-end border-t border-line px-3 py-2">{pagination}</div>}
    </div>
  )
}

/**
 * True while the table does not fit and scrolls sideways. Only then it is a box that scrolls: in one, the names of the
 * columns could not stay in view while the page scrolls.
 */
function useIsTooWide(frame: RefObject<HTMLDivElement | null>): boolean {
  const [isTooWide, setTooWide] = useState(false)
  useLayoutEffect(() => {
    const box = frame.current
    const table = box?.firstElementChild
    if (!box || !(table instanceof HTMLElement)) return
    const measure = () => setTooWide(table.offsetWidth > box.clientWidth)
    const observer = new ResizeObserver(measure)
    observer.observe(box)
    observer.observe(table)
    measure()
    return () => observer.disconnect()
  }, [frame])
  return isTooWide
}

/** Inside the rows' element, which thereby has a size also when there are none. */
function EmptyRow({ state, columns }: { state: TableState; columns: number }) {
  return (
    <tr>
      <td colSpan={Math.max(1, columns)} className="px-4 py-8 text-center text-muted">
        {emptyText(state)}
      </td>
    </tr>
  )
}

/** Why there is nothing to see. */
export function emptyText(state: TableState): string {
  if (state.isWaiting) return 'Loading…'
  return state.query === '' ? 'There are no items to show.' : `No records found matching '${state.query}'`
}

function HorizontalRows({
  state,
  id,
  label,
  place,
  selection,
  staysInView,
}: {
  state: TableState
  id: string
  label: string
  place: Place
  selection: Selection | undefined
  /** The names of the columns do, while the page scrolls. */
  staysInView: boolean
}) {
  const { columns } = state.table
  const hasMenus = state.page.some(row => row.menu.length > 0)
  const before = useRef<string | null>(null)
  const toggle = (row: Row, isRange: boolean) => {
    if (!selection || selection.isDisabled) return
    const from =
      isRange && !selection.isSingle ? state.matching.findIndex(({ key }) => key === before.current) : -1
    const to = state.matching.findIndex(({ key }) => key === row.key)
    before.current = row.key
    if (from >= 0 && to >= 0) {
      const range = state.matching.slice(Math.min(from, to), Math.max(from, to) + 1).map(({ key }) => key)
      selection.onChange([...new Set([...selection.keys, ...range])])
    } else if (selection.keys.includes(row.key)) {
      selection.onChange(selection.keys.filter(key => key !== row.key))
    } else selection.onChange(selection.isSingle ? [row.key] : [...selection.keys, row.key])
  }
  return (
    <table className="w-full border-collapse text-left" aria-label={label === '' ? 'Table' : label}>
      <thead
        className={`bg-sunken text-sm ${staysInView ? 'sticky top-[3.3rem] z-10 shadow-[0_1px_0_var(--line)] md:top-0' : ''}`}
      >
        <tr>
          {selection && (
            <td className="w-10 px-3 py-2">
              {!selection.isSingle && <SelectAll state={state} selection={selection} />}
            </td>
          )}
          {columns.map(column => (
            <ColumnHeader key={column.cellKey} column={column} state={state} role="columnheader" />
          ))}
          {hasMenus && <td className="w-12" />}
        </tr>
      </thead>
      <tbody data-pw-search={state.query} className="divide-y divide-line">
        {state.page.length === 0 && <EmptyRow state={state} columns={columns.length + (selection ? 1 : 0)} />}
        {state.page.map((row, position) => (
          <BodyRow
            key={row.key}
            id={`${id}-row-${position}`}
            row={row}
            columns={columns}
            place={place}
            hasMenu={hasMenus}
            selection={selection}
            onToggle={isRange => toggle(row, isRange)}
          />
        ))}
      </tbody>
    </table>
  )
}

function BodyRow({
  id,
  row,
  columns,
  place,
  hasMenu,
  selection,
  onToggle,
}: {
  id: string
  row: Row
  columns: readonly Column[]
  place: Place
  hasMenu: boolean
  selection: Selection | undefined
  /** `isRange`: all rows from the one toggled before. */
  onToggle: (isRange: boolean) => void
}) {
  const isChosen = selection?.keys.includes(row.key) ?? false
  return (
    <tr
      // biome-ignore lint/a11y/noRedundantRoles: suites tell body rows by it
      role="row"
      aria-selected={selection ? isChosen : undefined}
      onMouseDown={event => {
        // A range of rows is meant, not one of words.
        if (selection && event.shiftKey) event.preventDefault()
      }}
      onClick={event => onToggle(event.shiftKey)}
      className={selection ? `cursor-pointer ${isChosen ? 'bg-accent-soft' : 'hover:bg-sunken'}` : ''}
    >
      {selection && (
        // biome-ignore lint/a11y/noRedundantRoles: suites tell cells by it
        <td role="cell" className="w-10 px-3 py-2 align-middle">
          <input
            id={id}
            type="checkbox"
            className="tick block"
            aria-label={`Select ${cellText(row.cells[columns[0]?.cellKey ?? ''])}`}
            checked={isChosen}
            disabled={selection.isDisabled}
            onChange={event =>
              onToggle(event.nativeEvent instanceof MouseEvent && event.nativeEvent.shiftKey)
            }
            onClick={event => event.stopPropagation()}
          />
        </td>
      )}
      {columns.map(column => (
        // biome-ignore lint/a11y/noRedundantRoles: suites tell cells by it
        <td key={column.cellKey} role="cell" className="max-w-96 px-3 py-2 align-top">
          <Cell cell={row.cells[column.cellKey]} place={place} />
        </td>
      ))}
      {hasMenu && (
        <td className="w-12 px-2 py-1 text-right">
          {row.menu.length > 0 && <RowMenu items={row.menu} place={place} />}
        </td>
      )}
    </tr>
  )
}

function VerticalRows({ state, label, place }: { state: TableState; label: string; place: Place }) {
  return (
    <table
      data-pw-search={state.query}
      className="w-full border-collapse text-left"
      aria-label={label === '' ? 'Table' : label}
    >
      <tbody className="divide-y divide-line">
        {state.page.length === 0 && <EmptyRow state={state} columns={1} />}
        {state.page.length > 0 &&
          state.table.columns.map(column => (
            <tr key={column.cellKey}>
              <ColumnHeader column={column} state={state} role="rowheader" />
              {state.page.map(row => (
                <td key={row.key} className="max-w-96 px-3 py-2 align-top">
                  <Cell cell={row.cells[column.cellKey]} place={place} />
                </td>
              ))}
            </tr>
          ))}
      </tbody>
    </table>
  )
}

function ColumnHeader({
  column,
  state,
  role,
}: {
  column: Column
  state: TableState
  role: 'columnheader' | 'rowheader'
}) {
  const { table, sort } = state
  const canSort = table.isSortable && (table.holdsAll || column.accessorKey !== undefined)
  const direction = sort?.cellKey === column.cellKey ? sort.direction : null
  const sorted = direction === 'asc' ? 'ascending' : 'descending'
  return (
    <th
      role={role}
      scope={role === 'columnheader' ? 'col' : 'row'}
      aria-sort={direction === null ? undefined : sorted}
      className={`group bg-sunken px-3 py-2 text-sm font-medium whitespace-nowrap ${direction === null ? 'text-muted' : 'text-ink'}`}
      onClick={canSort ? () => state.toggleSort(column.cellKey) : undefined}
      onKeyDown={
        canSort
          ? event => {
              if (event.key !== 'Enter' && event.key !== ' ') return
              event.preventDefault()
              state.toggleSort(column.cellKey)
            }
          : undefined
      }
      tabIndex={canSort ? 0 : undefined}
      style={canSort ? { cursor: 'pointer' } : undefined}
    >
      <span className="inline-flex items-center gap-1">
        {column.label}
        {canSort && (
          <Icon
            name={direction === 'desc' ? 'chevronDown' : 'chevronUp'}
            className={`size-3.5 ${direction === null ? 'opacity-0 group-hover:opacity-50' : ''}`}
          />
        )}
      </span>
    </th>
  )
}

const highlights: Record<string, string> = {
  red: 'bg-red-100 text-red-900 dark:bg-red-950 dark:text-red-100',
  orange: 'bg-orange-100 text-orange-900 dark:bg-orange-950 dark:text-orange-100',
  yellow: 'bg-yellow-100 text-yellow-900 dark:bg-yellow-950 dark:text-yellow-100',
  green: 'bg-green-100 text-green-900 dark:bg-green-950 dark:text-green-100',
  blue: 'bg-blue-100 text-blue-900 dark:bg-blue-950 dark:text-blue-100',
  purple: 'bg-purple-100 text-purple-900 dark:bg-purple-950 dark:text-purple-100',
  pink: 'bg-pink-100 text-pink-900 dark:bg-pink-950 dark:text-pink-100',
  gray: 'bg-gray-100 text-gray-900 dark:bg-gray-800 dark:text-gray-100',
}

function Cell({ cell, place }: { cell: unknown; place: Place }) {
  const words = cellText(cell)
  // Short words stay on one line; what is long wraps and is cut after a few lines, in looks only.
  const shape = words.length <= shortCharactersMax ? 'whitespace-nowrap' : 'line-clamp-4 min-w-40 break-words'
  if (typeof cell === 'string' && hasMarkdown(cell)) {
    return (
      <Suspense fallback={<span className={shape}>{words}</span>}>
        <MarkdownView text={cell} />
      </Suspense>
    )
  }
  if (!isRecord(cell) || cell instanceof Date) return <span className={shape}>{words}</span>
  const target = targetOf(cell, place)
  const source = pictureSource(cell.image)
  const highlight = highlights[textOf(cell, 'highlightColor') ?? '']
  const hasWords = isGiven(cell.label) || isGiven(cell.value) || (source === null && target === null)
  const text = hasWords ? words : source === null ? (target?.href ?? '') : ''
  const written: ReactNode = highlight ? (
    <span className={`rounded px-1.5 py-0.5 ${highlight}`}>{text}</span>
  ) : (
    text
  )
  return (
    <>
      <Picture image={cell.image} words={text} className="mb-1" />
      {target === null ? (
        <span className={shape}>{written}</span>
      ) : (
        <LinkItem
          target={target}
          className={`link ${text.length <= shortCharactersMax ? 'whitespace-nowrap' : ''}`}
        >
          {written}
        </LinkItem>
      )}
    </>
  )
}

const itemClass =
  'flex w-full items-center rounded-control px-3 py-1.5 text-left data-[active-item]:bg-sunken disabled:opacity-50'

/** Options of one row, or of one grid item; rendered only while open. */
export function RowMenu({ items, place }: { items: readonly Record<string, unknown>[]; place: Place }) {
  return (
    <MenuProvider placement="bottom-end">
      <MenuButton
        className="button plain small px-1.5"
        onClick={(event: React.MouseEvent) => event.stopPropagation()}
      >
        <Icon name="more" />
        <span className="sr-only">Open options</span>
      </MenuButton>
      <Menu
        portal={false}
        fixed
        onClick={(event: React.MouseEvent) => event.stopPropagation()}
        className="min-w-44"
      >
        {items.map((item, index) => {
          const target = targetOf(item, place)
          const label = textOf(item, 'label') ?? ''
          const danger = item.theme === 'danger' ? 'text-danger' : ''
          if (flagOf(item, 'disabled') || target === null) {
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: items have no identity but their place
              <button key={index} type="button" role="menuitem" disabled className={itemClass}>
                {label}
              </button>
            )
          }
          const link = target.isInternal ? (
            <AppLink href={target.href} />
          ) : (
            // biome-ignore lint/a11y/useAnchorContent: the menu item puts its words in
            <a href={target.href} rel="noreferrer" />
          )
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: items have no identity but their place
            <MenuItem key={index} className={`${itemClass} ${danger}`} render={link}>
              {label}
            </MenuItem>
          )
        })}
      </Menu>
    </MenuProvider>
  )
}

function SelectAll({ state, selection }: { state: TableState; selection: Selection }) {
  /** What the host said last, where it holds more rows than are here; true of one query only. */
  const [told, setTold] = useState<{ query: string; keys: readonly string[] } | null>(null)
  const [isAsking, setAsking] = useState(false)
  const latest = useRef(selection)
  latest.current = selection
  const fromHost = told?.query === state.query ? told.keys : []
  const keys = state.askAllKeys ? fromHost : state.matching.map(row => row.key)
  const chosen = new Set(selection.keys)
  const isAll = keys.length > 0 && keys.every(key => chosen.has(key))
  const add = (more: readonly string[]) =>
    latest.current.onChange([...new Set([...latest.current.keys, ...more])])
  const choose = async () => {
    if (!state.askAllKeys) return add(keys)
    setAsking(true)
    try {
      const found = await state.askAllKeys()
      setTold({ query: state.query, keys: found })
      add(found)
    } catch {
      // The host went away in the middle; nothing was chosen, and the box says so.
    } finally {
      setAsking(false)
    }
  }
  const clear = () => {
    const dropped = new Set(keys)
    selection.onChange(selection.keys.filter(key => !dropped.has(key)))
  }
  return (
    <input
      type="checkbox"
      className="tick block"
      aria-label={isAll ? 'Select none' : 'Select all'}
      checked={isAll}
      disabled={selection.isDisabled || isAsking}
      onChange={() => (isAll ? clear() : void choose())}
    />
  )
}

/** The box that filters, with its clear button. */
export function Filter({ state, id }: { state: TableState; id: string }) {
  const [typed, setTyped] = useState(state.query)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const apply = (query: string, delayMs: number) => {
    setTyped(query)
    clearTimeout(timer.current)
    if (delayMs === 0) state.setQuery(query)
    else timer.current = setTimeout(() => latest.current(query), delayMs)
  }
  // The delayed call must see the table as it is by then.
  const latest = useRef(state.setQuery)
  latest.current = state.setQuery
  return (
    <div className="relative min-w-40 flex-1 sm:max-w-64">
      <input
        id={`${id}-filter`}
        type="search"
        placeholder="Filter"
        data-no-first-focus=""
        aria-label="Filter"
        className="control min-h-8! py-1! pr-9! text-sm [&::-webkit-search-cancel-button]:hidden"
        value={typed}
        onChange={event => apply(event.target.value, filterDelayMs)}
        onKeyDown={event => {
          if (event.key !== 'Enter') return
          // Filters, and does not send the form around the table.
          event.preventDefault()
          apply(typed, 0)
        }}
      />
      {typed !== '' && (
        <button
          type="button"
          aria-label="Clear filter"
          className="absolute top-1/2 right-1 -translate-y-1/2 rounded p-1 text-muted hover:text-ink"
          onClick={() => apply('', 0)}
        >
          <Icon name="close" className="size-4" />
        </button>
      )}
    </div>
  )
}

/** Which rows are on screen, and the way to the others. */
export function Pagination({ state }: { state: TableState }) {
  const { offset, pageSize, page, total, canAsk } = state
  return (
    <div data-pw="pagination" className="flex items-center gap-1 text-sm">
      <span className="text-muted tabular-nums">{rangeText(offset, page.length, total)}</span>
      <button
        type="button"
        aria-label="Previous page"
        className="button plain small px-1.5"
        disabled={offset === 0 || !canAsk}
        onClick={() => state.setOffset(Math.max(0, offset - pageSize))}
      >
        <Icon name="chevronLeft" className="size-4" />
      </button>
      <button
        type="button"
        aria-label="Next page"
        className="button plain small px-1.5"
        disabled={!state.hasNext || !canAsk}
        onClick={() => state.setOffset(offset + pageSize)}
      >
        <Icon name="chevronRight" className="size-4" />
      </button>
    </div>
  )
}

function TableOptions({ state, label }: { state: TableState; label: string }) {
  /** How many rows have come so far, while a download is on. */
  const [count, setCount] = useState<number | null>(null)
  const [problem, setProblem] = useState('')
  const download = async (kind: 'csv' | 'xlsx') => {
    setCount(0)
    setProblem('')
    try {
      const rows = await state.allRows(setCount)
      const { columns } = state.table
      const name = `${label === '' ? 'table' : label}.${kind}`
      if (kind === 'csv') saveFile(csvOf(columns, rows), 'text/csv', name)
      else {
        const { xlsxOf, xlsxType } = await import('./xlsx.js')
        const names = columns.map(column => column.label)
        saveFile(await xlsxOf(names, sheetRows(columns, rows)), xlsxType, name)
      }
      if (state.total !== null && rows.length < state.total)
        setProblem(`Only the first ${rows.length.toLocaleString('en-US')} are in the file.`)
    } catch {
      setProblem('The rows did not come. Try again.')
    } finally {
      setCount(null)
    }
  }
  return (
    <>
      <span role="status" className={`text-sm tabular-nums ${problem === '' ? 'text-muted' : 'text-danger'}`}>
        {problem}
        {count !== null && count > 0 && shareOf(count, state.total)}
      </span>
      <MenuProvider placement="bottom-end">
        <MenuButton className="button plain small px-1.5" disabled={count !== null}>
          {count === null ? <Icon name="more" /> : <span className="spinner" />}
          <span className="sr-only">Table options</span>
        </MenuButton>
        <Menu portal={false} fixed className="min-w-44">
          {(['csv', 'xlsx'] as const).map(kind => (
            <MenuItem
              key={kind}
              className={itemClass}
              onClick={() => void download(kind)}
              render={<button type="button" />}
            >
              Download as {kind.toUpperCase()}
            </MenuItem>
          ))}
        </Menu>
      </MenuProvider>
    </>
  )
}

function shareOf(count: number, total: number | null): string {
  return total === null || total === 0
    ? `${count} rows`
    : `${Math.min(100, Math.round((count / total) * 100))} %`
}
