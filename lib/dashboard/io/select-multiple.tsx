/** SELECT_MULTIPLE: one box per option. The draft holds the indexes of the ticked ones. */
import { flagOf } from '../props.js'
import { FieldGroup } from './field.js'
import { type Component, type FieldProps, inputMethod, type Reading } from './method.js'
import { indexOfDefault, optionsOf, selectionsProblem } from './options.js'

export const selectMultiple = inputMethod<number[]>({
  initial: component => {
    const options = optionsOf(component.props)
    const wanted = component.props.defaultValue
    const indexes = (Array.isArray(wanted) ? wanted : []).map(value => indexOfDefault(options, value))
    return [...new Set(indexes.filter(index => index >= 0))]
  },
  accepts: (draft): draft is number[] =>
    Array.isArray(draft) && draft.every(index => Number.isInteger(index)),
  read: readMultiple,
  View: MultipleField,
})

export function readMultiple(draft: readonly number[], component: Component): Reading {
  const problem = selectionsProblem(draft.length, component.props, component.isOptional)
  if (problem !== null) return { error: problem }
  if (draft.length === 0 && component.isOptional) return { value: undefined }
  const chosen = optionsOf(component.props).filter((_option, index) => draft.includes(index))
  return { value: chosen.map(option => option.original) }
}

function MultipleField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<number[]>) {
  const off = isDisabled || flagOf(component.props, 'disabled')
  return (
    <FieldGroup id={id} component={component} error={error}>
      <ul className="grid gap-2">
        {optionsOf(component.props).map((option, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: options have no other identity, values may repeat
          <li key={index}>
            <label htmlFor={index === 0 ? id : `${id}-${index}`} className="inline-flex items-center gap-2.5">
              <input
                id={index === 0 ? id : `${id}-${index}`}
                type="checkbox"
                className="tick"
                value={String(option.value)}
                checked={draft.includes(index)}
                disabled={off}
                onChange={event =>
                  onDraft(event.target.checked ? [...draft, index] : draft.filter(other => other !== index))
                }
              />
              {option.label}
            </label>
          </li>
        ))}
      </ul>
    </FieldGroup>
  )
}
