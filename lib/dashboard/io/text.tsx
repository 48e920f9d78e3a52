/** INPUT_TEXT: one line or several, with bounds on the length. */
import { flagOf, numberOf, textOf } from '../props.js'
import { controlProps, FieldFrame } from './field.js'
import { type Component, type FieldProps, inputMethod, isText, type Reading, readEmpty } from './method.js'

export const text = inputMethod<string>({
  initial: component => textOf(component.props, 'defaultValue') ?? '',
  accepts: isText,
  read: readText,
  View: TextField,
})

export function readText(draft: string, component: Component): Reading {
  if (draft.trim() === '') return readEmpty(component)
  const min = numberOf(component.props, 'minLength')
  const max = numberOf(component.props, 'maxLength')
  const fits = draft.length >= (min ?? 0) && draft.length <= (max ?? Number.POSITIVE_INFINITY)
  if (fits) return { value: draft }
  if (min !== undefined && max !== undefined) {
    return { error: `Please enter a value with between ${min} and ${max} characters.` }
  }
  const characters = (min ?? max) === 1 ? 'character' : 'characters'
  if (min !== undefined) return { error: `Please enter a value with at least ${min} ${characters}.` }
  return { error: `Please enter a value with no more than ${max} ${characters}.` }
}

function TextField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<string>) {
  const { props } = component
  const common = {
    ...controlProps(id, component, error),
    className: 'control',
    value: draft,
    placeholder: textOf(props, 'placeholder'),
    disabled: isDisabled || flagOf(props, 'disabled'),
  }
  return (
    <FieldFrame id={id} component={component} error={error}>
      {flagOf(props, 'multiline') ? (
        <textarea
          {...common}
          rows={Math.min(40, Math.max(2, numberOf(props, 'lines') ?? 4))}
          onChange={event => onDraft(event.target.value)}
        />
      ) : (
        <input {...common} type="text" autoComplete="off" onChange={event => onDraft(event.target.value)} />
      )}
    </FieldFrame>
  )
}
