/**
 * The grid of a spreadsheet: a page of rows at a time, one cell selected, one perhaps being typed into. The first `td`
 * is row one, column one; row headers are `th` and draw their number by the style sheet.
 *
 * Keys: arrows move, a letter replaces, Enter or F2 edits, Enter and Tab commit, Escape gives up, Delete empties,
 * Ctrl/Cmd+Enter adds a row, the menu key opens the row's menu. Pasting into a cell fills from there on.
 */
import { MenuItem, MenuProvider, useMenuStore } from '@ariakit/react'
import { type ClipboardEvent, type KeyboardEvent, useLayoutEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { Icon } from '../components/icon.js'
import { Menu } from '../components/menu.js'
import { ImportDialog, PasteDialog } from './spreadsheet-import.js'
import {
  blankRow,
  booleanOf,
  cellProblem,
  type Imported,
  importedOf,
  isBlankRow,
  type SheetColumn,
  type SheetRow,
  sheetPageSize,
  sheetRowsMax,
  withRows,
  wrongRows,
} from './spreadsheet-model.js'
import { rowsOfText, textOfBytes } from './spreadsheet-text.js'

interface ViewProps {
  id: string
  columns: readonly SheetColumn[]
  rows: readonly SheetRow[]
  onRows: (rows: SheetRow[]) => void
  isDisabled: boolean
  /** Continue was pressed and refused: what is missing is marked too. */
  wasRefused: boolean
}

interface CellAt {
  row: number
  column: number
}

const fileBytesMax = 32 * 1024 * 1024
const wrongPagesMax = 12

export default function SpreadsheetView({ id, columns, rows, onRows, isDisabled, wasRefused }: ViewProps) {
  const [active, setActive] = useState<CellAt>({ row: 0, column: 0 })
  const [editing, setEditing] = useState<string | null>(null)
  const [page, setPage] = useState(0)
  const [isPasting, setPasting] = useState(false)
  const [imported, setImported] = useState<Imported | null>(null)
  const [failure, setFailure] = useState<string | null>(null)
  const [menuRow, setMenuRow] = useState(0)
  const anchor = useRef({ x: 0, y: 0 })
  const menu = useMenuStore()
  const frame = useRef<HTMLDivElement>(null)
  const wantsFocus = useRef(false)
  const pages = Math.max(1, Math.ceil(rows.length / sheetPageSize))
  const shownPage = Math.min(page, pages - 1)
  const first = shownPage * sheetPageSize
  const wrong = wasRefused ? wrongRows(rows, columns) : []
  const wrongPages = [...new Set(wrong.map(row => Math.floor(row / sheetPageSize)))]

  useLayoutEffect(() => {
    if (!wantsFocus.current || editing !== null) return
    wantsFocus.current = false
    frame.current?.querySelector<HTMLElement>(`[data-cell="${active.row}-${active.column}"]`)?.focus()
  })

  const moveTo = (row: number, column: number) => {
    const to = {
      row: Math.max(0, Math.min(rows.length - 1, row)),
      column: Math.max(0, Math.min(columns.length - 1, column)),
    }
    wantsFocus.current = true
    setActive(to)
    setPage(Math.floor(to.row / sheetPageSize))
  }
  const write = ({ row, column }: CellAt, text: string) => {
    const next = rows.map((cells, index) =>
      index === row ? cells.map((cell, at) => (at === column ? text : cell)) : cells,
    )
    // Below the last row that holds something there is always room for another.
    const last = next.at(-1)
    if (last && !isBlankRow(last, columns) && next.length < sheetRowsMax) next.push(blankRow(columns))
    onRows(next)
  }
  /** The cell being typed into, so that leaving a field that is gone already writes nothing. */
  const open = useRef(false)
  open.current = editing !== null
  const commit = () => {
    if (editing === null || !open.current) return
    open.current = false
    if (editing !== rows[active.row]?.[active.column]) write(active, editing)
    setEditing(null)
  }
  const addRow = (at: number) => {
    if (rows.length >= sheetRowsMax) return
    onRows([...rows.slice(0, at), blankRow(columns), ...rows.slice(at)])
    wantsFocus.current = true
    setEditing(null)
    setActive({ row: at, column: 0 })
    setPage(Math.floor(at / sheetPageSize))
  }
  const deleteRow = (at: number) => {
    const left = rows.filter((_row, index) => index !== at)
    onRows(left.length > 0 ? left : [blankRow(columns)])
    wantsFocus.current = true
    setActive({ row: Math.max(0, Math.min(left.length - 1, at)), column: active.column })
  }

  const keyDown = (event: KeyboardEvent, at: CellAt) => {
    if (isDisabled || event.nativeEvent.isComposing) return
    const isBox = columns[at.column]?.kind === 'boolean'
    const { key } = event
    if (key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      // A row is meant, not the whole form.
      event.preventDefault()
      event.stopPropagation()
      addRow(at.row + 1)
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const steps: Record<string, [number, number]> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    }
    const step = steps[key]
    if (step) {
      event.preventDefault()
      moveTo(at.row + step[0], at.column + step[1])
    } else if (key === 'Enter' || key === 'F2') {
      event.preventDefault()
      if (isBox) moveTo(at.row + 1, at.column)
      else startEditing(at, rows[at.row]?.[at.column] ?? '')
    } else if (key === 'Tab') {
      const next = event.shiftKey ? at.column - 1 : at.column + 1
      const isInRow = next >= 0 && next < columns.length
      const row = isInRow ? at.row : at.row + (event.shiftKey ? -1 : 1)
      // At the ends of the sheet, Tab leaves it.
      if (row < 0 || row >= rows.length) return
      event.preventDefault()
      moveTo(row, isInRow ? next : event.shiftKey ? columns.length - 1 : 0)
    } else if (key === 'Delete' || key === 'Backspace') {
      event.preventDefault()
      write(at, '')
    } else if (isBox && key === ' ') {
      event.preventDefault()
      write(at, booleanOf(rows[at.row]?.[at.column] ?? '') === true ? 'false' : 'true')
    } else if (!isBox && key.length === 1) {
      event.preventDefault()
      startEditing(at, key)
    } else if (!isBox && key === 'Process') startEditing(at, '')
  }

  /** At once, so that the next key already reaches the field. */
  const startEditing = (at: CellAt, text: string) => {
    flushSync(() => {
      setActive(at)
      setEditing(text)
    })
  }

  const editKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation()
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      // The typed text and the new row are one change.
      const typed = rows.map((cells, index) =>
        index === active.row
          ? cells.map((cell, at) => (at === active.column ? (editing ?? cell) : cell))
          : cells,
      )
      open.current = false
      setEditing(null)
      onRows([...typed.slice(0, active.row + 1), blankRow(columns), ...typed.slice(active.row + 1)])
      wantsFocus.current = true
      setActive({ row: active.row + 1, column: 0 })
      setPage(Math.floor((active.row + 1) / sheetPageSize))
    } else if (event.key === 'Enter') {
      event.preventDefault()
      commit()
      moveTo(active.row + (active.row < rows.length - 1 ? 1 : 0), active.column)
    } else if (event.key === 'Tab') {
      const next = active.column + (event.shiftKey ? -1 : 1)
      const isInRow = next >= 0 && next < columns.length
      const row = isInRow ? active.row : active.row + (event.shiftKey ? -1 : 1)
      commit()
      if (row < 0 || row >= rows.length) return
      event.preventDefault()
      moveTo(row, isInRow ? next : event.shiftKey ? columns.length - 1 : 0)
    } else if (event.key === 'Escape') {
      event.preventDefault()
      open.current = false
      setEditing(null)
      wantsFocus.current = true
    }
  }

  const paste = (event: ClipboardEvent) => {
    if (isDisabled || editing !== null) return
    const text = event.clipboardData.getData('text/plain')
    if (text === '') return
    event.preventDefault()
    const block = rowsOfText(text).rows
    const next = rows.map(row => [...row])
    for (const [down, cells] of block.entries()) {
      const row = active.row + down
      if (row >= sheetRowsMax) break
      while (next.length <= row) next.push([...blankRow(columns)])
      for (const [right, cell] of cells.entries()) {
        const column = active.column + right
        const target = next[row]
        if (target && column < columns.length) target[column] = cell.trim()
      }
    }
    if (next.length < sheetRowsMax) next.push([...blankRow(columns)])
    onRows(next)
  }

  const openFile = () => {
    // Never part of the document, in which the first input is a field of the form.
    const input = document.createElement('input')
    input.type = 'file'
    input.accept = '.csv,.tsv,.txt,text/csv,text/tab-separated-values,text/plain'
    input.onchange = async () => {
      const file = input.files?.[0]
      if (!file) return
      if (file.size > fileBytesMax) return setFailure('The file is larger than 32 MB.')
      offer(textOfBytes(await file.arrayBuffer()), true)
    }
    input.click()
  }
  const offer = (text: string, isFile: boolean) => {
    const { rows, hasDecimalCommas } = rowsOfText(text)
    const found = importedOf(rows, columns, isFile, hasDecimalCommas)
    setPasting(false)
    setFailure(found.rows.length === 0 ? 'There are no rows in it.' : null)
    if (found.rows.length > 0) setImported(found)
  }
  const openMenu = (row: number, x: number, y: number) => {
    if (isDisabled) return
    anchor.current = { x, y }
    setMenuRow(row)
    menu.show()
  }

  return (
    <div ref={frame} className="grid min-w-0 gap-3">
      {!isDisabled && (
        <div className="flex flex-wrap gap-2">
          <button id={id} type="button" className="button small" onClick={openFile}>
            Upload CSV
          </button>
          <button type="button" className="button small" onClick={() => setPasting(true)}>
            Paste data
          </button>
          <button type="button" className="button small" onClick={() => moveTo(0, 0)}>
            Enter manually
          </button>
        </div>
      )}
      {failure !== null && (
        <p role="alert" className="text-sm text-danger">
          {failure}
        </p>
      )}
      <div className="card min-w-0 overflow-x-auto">
        <table className="w-full border-collapse text-left text-sm" onPaste={paste}>
          <thead className="bg-sunken">
            <tr>
              <th scope="col" className="w-10">
                <span className="sr-only">Row</span>
              </th>
              {columns.map(column => (
                <th
                  key={column.name}
                  scope="col"
                  title={`${column.name}: ${column.kind}${column.isRequired ? ', required' : ''}`}
                  className={`border-l border-line px-2.5 py-2 font-medium whitespace-nowrap ${
                    column.isRequired && column.kind !== 'boolean'
                      ? "after:ml-0.5 after:text-danger after:content-['*']"
                      : ''
                  }`}
                >
                  {column.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody className="divide-y divide-line">
            {rows.slice(first, first + sheetPageSize).map((cells, offset) => {
              const row = first + offset
              const isBlank = isBlankRow(cells, columns)
              return (
                <tr
                  key={row}
                  onContextMenu={event => {
                    if (isDisabled) return
                    event.preventDefault()
                    openMenu(row, event.clientX, event.clientY)
                  }}
                >
                  <th scope="row" className="w-10 bg-sunken p-0">
                    <button
                      type="button"
                      tabIndex={-1}
                      aria-label={`Options of row ${row + 1}`}
                      data-row={row + 1}
                      disabled={isDisabled}
                      className="block size-full px-2 py-1.5 text-center font-normal text-muted tabular-nums before:content-[attr(data-row)]"
                      onClick={event => {
                        const box = event.currentTarget.getBoundingClientRect()
                        openMenu(row, box.left, box.bottom)
                      }}
                    />
                  </th>
                  {columns.map((column, at) => (
                    <Cell
                      key={column.name}
                      at={{ row, column: at }}
                      column={column}
                      text={cells[at] ?? ''}
                      problem={isBlank ? null : markedProblem(column, cells[at] ?? '', wasRefused)}
                      isActive={active.row === row && active.column === at}
                      editing={active.row === row && active.column === at ? editing : null}
                      isDisabled={isDisabled}
                      onSelect={() => setActive({ row, column: at })}
                      onKeyDown={event => keyDown(event, { row, column: at })}
                      onEdit={() => !isDisabled && startEditing({ row, column: at }, cells[at] ?? '')}
                      onTyped={setEditing}
                      onEditKeyDown={editKeyDown}
                      onCommit={commit}
                      onTick={isTicked => write({ row, column: at }, String(isTicked))}
                    />
                  ))}
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      <div className="flex flex-wrap items-center gap-3">
        {!isDisabled && (
          <button type="button" className="button plain small" onClick={() => addRow(rows.length)}>
            Add row
          </button>
        )}
        {pages > 1 && (
          <div className="ml-auto flex items-center gap-1 text-sm">
            <span className="text-muted tabular-nums">
              {`${first + 1} - ${Math.min(rows.length, first + sheetPageSize)} of ${rows.length.toLocaleString('en-US')}`}
            </span>
            <button
              type="button"
              aria-label="Previous page"
              className="button plain small px-1.5"
              disabled={shownPage === 0}
              onClick={() => setPage(shownPage - 1)}
            >
              <Icon name="chevronLeft" className="size-4" />
            </button>
            <button
              type="button"
              aria-label="Next page"
              className="button plain small px-1.5"
              disabled={shownPage >= pages - 1}
              onClick={() => setPage(shownPage + 1)}
            >
              <Icon name="chevronRight" className="size-4" />
            </button>
          </div>
        )}
      </div>
      {wrongPages.some(other => other !== shownPage) && (
        <p className="flex flex-wrap items-center gap-2 text-sm text-danger">
          Rows to check on other pages:
          {wrongPages
            .filter(other => other !== shownPage)
            .slice(0, wrongPagesMax)
            .map(other => (
              <button
                key={other}
                type="button"
                className="rounded px-1.5 underline underline-offset-3"
                onClick={() => {
                  const row = wrong.find(index => Math.floor(index / sheetPageSize) === other) ?? 0
                  moveTo(
                    row,
                    columns.findIndex((column, at) => cellProblem(column, rows[row]?.[at] ?? '') !== null),
                  )
                }}
              >
                page {other + 1}
              </button>
            ))}
          {wrongPages.length - 1 > wrongPagesMax && `and ${wrongPages.length - 1 - wrongPagesMax} more`}
        </p>
      )}
      <MenuProvider store={menu}>
        <Menu
          portal={false}
          fixed
          aria-label={`Row ${menuRow + 1}`}
          getAnchorRect={() => ({ ...anchor.current, width: 0, height: 0 })}
          className="min-w-44"
        >
          {[
            { label: 'Add row above', run: () => addRow(menuRow) },
            { label: 'Add row below', run: () => addRow(menuRow + 1) },
            { label: 'Delete row', run: () => deleteRow(menuRow) },
          ].map(({ label, run }) => (
            <MenuItem
              key={label}
              onClick={run}
              render={<button type="button" />}
              className="flex w-full items-center rounded-control px-3 py-1.5 text-left data-[active-item]:bg-sunken"
            >
              {label}
            </MenuItem>
          ))}
        </Menu>
      </MenuProvider>
      {isPasting && <PasteDialog onClose={() => setPasting(false)} onText={text => offer(text, false)} />}
      {imported !== null && (
        <ImportDialog
          imported={imported}
          columns={columns}
          onClose={() => setImported(null)}
          onRows={more => {
            setImported(null)
            const next = withRows(rows, more, columns)
            onRows(next.length < sheetRowsMax ? [...next, blankRow(columns)] : next)
            setPage(0)
          }}
        />
      )}
    </div>
  )
}

/** What cannot be right is marked at once, what is missing only after an attempt. */
function markedProblem(column: SheetColumn, text: string, wasRefused: boolean): string | null {
  return text.trim() === '' && !wasRefused ? null : cellProblem(column, text)
}

interface CellProps {
  at: CellAt
  column: SheetColumn
  text: string
  problem: string | null
  isActive: boolean
  /** What is being typed into it. */
  editing: string | null
  isDisabled: boolean
  onSelect: () => void
  onKeyDown: (event: KeyboardEvent) => void
  onEdit: () => void
  onTyped: (text: string) => void
  onEditKeyDown: (event: KeyboardEvent) => void
  onCommit: () => void
  onTick: (isTicked: boolean) => void
}

function Cell(props: CellProps) {
  const { at, column, text, problem, isActive, editing, isDisabled } = props
  const isBox = column.kind === 'boolean'
  const name = `${column.name}, row ${at.row + 1}`
  return (
    <td
      data-cell={`${at.row}-${at.column}`}
      tabIndex={isActive && !isDisabled ? 0 : -1}
      aria-invalid={problem !== null || undefined}
      title={problem ?? undefined}
      className={`h-9 min-w-28 border-l border-line px-2.5 py-1.5 outline-offset-[-2px] focus:outline-2 focus:outline-accent ${
        problem === null ? '' : 'bg-danger-soft text-danger'
      } ${editing === null ? '' : 'p-0!'}`}
      onFocus={event => {
        if (event.target === event.currentTarget) props.onSelect()
      }}
      onKeyDown={event => {
        if (editing === null) props.onKeyDown(event)
      }}
      onDoubleClick={() => {
        if (!isBox) props.onEdit()
      }}
    >
      {isBox ? (
        <span className="flex items-center gap-2">
          <input
            type="checkbox"
            className="tick"
            tabIndex={-1}
            aria-label={name}
            checked={booleanOf(text) === true}
            disabled={isDisabled}
            onFocus={props.onSelect}
            onChange={event => props.onTick(event.target.checked)}
          />
          {problem !== null && text}
        </span>
      ) : editing === null ? (
        <span className="block max-w-72 truncate">{text}</span>
      ) : (
        <input
          // biome-ignore lint/a11y/noAutofocus: typing in the cell has begun
          autoFocus
          type="text"
          aria-label={name}
          autoComplete="off"
          className="block h-9 w-full bg-surface px-2.5 text-ink outline-2 outline-offset-[-2px] outline-accent"
          value={editing}
          onFocus={event => {
            const end = event.currentTarget.value.length
            event.currentTarget.setSelectionRange(end, end)
          }}
          onChange={event => props.onTyped(event.target.value)}
          onKeyDown={props.onEditKeyDown}
          onBlur={props.onCommit}
        />
      )}
    </td>
  )
}
