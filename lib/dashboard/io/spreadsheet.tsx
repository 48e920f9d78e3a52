/** INPUT_SPREADSHEET: rows of typed columns, typed in, pasted or imported. The draft is the text of every cell. */
import { lazy, Suspense } from 'react'
import { FieldGroup } from './field.js'
import { type FieldProps, inputMethod, requiredText } from './method.js'
import {
  blankSheet,
  recordsOfSheet,
  type SheetRow,
  sheetColumnsOf,
  sheetOfRecords,
  sheetProblemText,
} from './spreadsheet-model.js'

const SpreadsheetView = lazy(() => import('./spreadsheet-view.js'))

export const spreadsheet = inputMethod<SheetRow[]>({
  initial: component => {
    const columns = sheetColumnsOf(component.props)
    const rows = sheetOfRecords(component.props.defaultValue, columns)
    return rows.length > 0 ? rows : blankSheet(columns)
  },
  accepts: (draft): draft is SheetRow[] =>
    Array.isArray(draft) &&
    draft.every(row => Array.isArray(row) && row.every(cell => typeof cell === 'string')),
  read: (rows, component) => {
    const records = recordsOfSheet(rows, sheetColumnsOf(component.props))
    if (records === null) return { error: `${sheetProblemText} Please check each row.` }
    if (records.length > 0) return { value: records }
    return component.isOptional ? { value: undefined } : { error: `${sheetProblemText} ${requiredText}` }
  },
  View: SpreadsheetField,
})

function SpreadsheetField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<SheetRow[]>) {
  return (
    <FieldGroup id={id} component={component} error={error}>
      <Suspense fallback={<div className="card h-[306px] animate-pulse" aria-hidden="true" />}>
        <SpreadsheetView
          id={id}
          columns={sheetColumnsOf(component.props)}
          rows={draft}
          onRows={onDraft}
          isDisabled={isDisabled || component.props.disabled === true}
          wasRefused={error !== null}
        />
      </Suspense>
    </FieldGroup>
  )
}
