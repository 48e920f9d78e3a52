/** The two small windows of a spreadsheet: pasting text, and choosing which of its columns are which of ours. */
import { DialogDismiss } from '@ariakit/react'
import { useRef, useState } from 'react'
import { DialogFrame } from '../components/dialog-frame.js'
import {
  type Imported,
  mappingOf,
  rowsOfImport,
  type SheetColumn,
  type SheetRow,
  sheetRowsMax,
  widthOf,
} from './spreadsheet-model.js'

/** How much of a column is shown to tell it by. */
const sampleCharactersMax = 40

export function PasteDialog({ onClose, onText }: { onClose: () => void; onText: (text: string) => void }) {
  const [text, setText] = useState('')
  const area = useRef<HTMLTextAreaElement>(null)
  return (
    <DialogFrame title="Paste rows" onClose={onClose} initialFocus={area} isWide>
      <p className="text-muted">Copy rows from a spreadsheet or a CSV file and put them here.</p>
      <textarea
        ref={area}
        aria-label="Rows"
        rows={10}
        className="control font-mono text-sm whitespace-pre"
        value={text}
        onChange={event => setText(event.target.value)}
      />
      <div className="flex justify-end gap-3">
        <DialogDismiss className="button">Cancel</DialogDismiss>
        <button
          type="button"
          className="button primary"
          disabled={text.trim() === ''}
          onClick={() => onText(text)}
        >
          Next
        </button>
      </div>
    </DialogFrame>
  )
}

export function ImportDialog({
  imported,
  columns,
  onClose,
  onRows,
}: {
  imported: Imported
  columns: readonly SheetColumn[]
  onClose: () => void
  onRows: (rows: SheetRow[]) => void
}) {
  const [hasHeader, setHeader] = useState(imported.hasHeader)
  const [mapping, setMapping] = useState(() => mappingOf(imported, columns))
  const chosen = { ...imported, hasHeader }
  const width = widthOf(imported.rows)
  const count = imported.rows.length - (hasHeader ? 1 : 0)
  const sample = (index: number): string => {
    const words = imported.rows[0]?.[index]?.trim() || `Column ${index + 1}`
    return words.length > sampleCharactersMax ? `${words.slice(0, sampleCharactersMax)}…` : words
  }
  return (
    <DialogFrame
      title={count === 1 ? 'One row' : `${count.toLocaleString('en-US')} rows`}
      onClose={onClose}
      isWide
    >
      <label className="flex items-center gap-2.5">
        <input
          type="checkbox"
          className="tick"
          checked={hasHeader}
          onChange={event => {
            setHeader(event.target.checked)
            setMapping(mappingOf({ ...imported, hasHeader: event.target.checked }, columns))
          }}
        />
        The first row has the names of the columns
      </label>
      <ul className="grid gap-3">
        {columns.map((column, index) => (
          <li key={column.name} className="grid items-center gap-1.5 sm:grid-cols-2">
            <label htmlFor={`sheet-map-${index}`} className="font-medium">
              {column.name}
            </label>
            <select
              id={`sheet-map-${index}`}
              className="control"
              value={mapping[index] ?? -1}
              onChange={event =>
                setMapping(mapping.map((old, at) => (at === index ? Number(event.target.value) : old)))
              }
            >
              <option value={-1}>Left empty</option>
              {Array.from({ length: width }, (_none, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns are known by their position
                <option key={at} value={at}>
                  {sample(at)}
                </option>
              ))}
            </select>
          </li>
        ))}
      </ul>
      {count > sheetRowsMax && (
        <p className="text-sm text-warning">
          Only the first {sheetRowsMax.toLocaleString('en-US')} are taken.
        </p>
      )}
      <div className="flex justify-end gap-3">
        <DialogDismiss className="button">Cancel</DialogDismiss>
        <button
          type="button"
          className="button primary"
          onClick={() => onRows(rowsOfImport(chosen, mapping, columns))}
        >
          Import
        </button>
      </div>
    </DialogFrame>
  )
}
