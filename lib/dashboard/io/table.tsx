/** DISPLAY_TABLE and SELECT_TABLE: the same table, with boxes in front of the rows in the second. */
import { textOf } from '../props.js'
import { FieldNotes, LabelWords } from './field.js'
import { displayMethod, type FieldProps, inputMethod } from './method.js'
import { selectionsProblem } from './options.js'
import { type Selection, TableView } from './table-view.js'

export const displayTable = displayMethod(DisplayTable)

export const selectTable = inputMethod<string[]>({
  initial: component => {
    const keys = component.props.selectedKeys
    return Array.isArray(keys) ? keys.map(String) : []
  },
  accepts: (draft): draft is string[] => Array.isArray(draft) && draft.every(key => typeof key === 'string'),
  read: (draft, component) => {
    const problem = selectionsProblem(draft.length, component.props, component.isOptional)
    if (problem !== null) return { error: problem }
    if (draft.length === 0 && component.isOptional) return { value: undefined }
    // Keys of rows that are not at hand are fine: hosts look them up among all of theirs.
    return { value: draft.map(key => ({ key })) }
  },
  View: SelectTable,
})

function DisplayTable({ id, component, place, onState }: FieldProps<unknown>) {
  const help = textOf(component.props, 'helpText')
  return (
    <div className="grid min-w-0 gap-1.5">
      {component.label !== '' && <p className="font-medium">{component.label}</p>}
      {help !== undefined && help !== '' && <p className="text-sm text-muted">{help}</p>}
      <TableView id={id} label={component.label} props={component.props} place={place} onState={onState} />
    </div>
  )
}

function SelectTable({
  id,
  component,
  place,
  draft,
  onDraft,
  isDisabled,
  error,
  onState,
}: FieldProps<string[]>) {
  const max = component.props.maxSelections
  const selection: Selection = {
    keys: draft,
    isSingle: max === 1,
    isDisabled: isDisabled || component.props.disabled === true,
    onChange: onDraft,
  }
  return (
    <div className="grid min-w-0 gap-1.5">
      <p id={`${id}-label`} className="font-medium">
        <LabelWords component={component} />
      </p>
      <TableView
        id={id}
        label={component.label}
        props={component.props}
        place={place}
        onState={isDisabled ? undefined : onState}
        selection={selection}
      />
      <FieldNotes id={id} component={component} error={error} />
    </div>
  )
}
