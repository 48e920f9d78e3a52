/** INPUT_EMAIL: the browser itself keeps an ill-formed address from being sent. */
import { flagOf, textOf } from '../props.js'
import { controlProps, FieldFrame } from './field.js'
import { type FieldProps, inputMethod, isText, readEmpty } from './method.js'

export const email = inputMethod<string>({
  initial: component => textOf(component.props, 'defaultValue') ?? '',
  accepts: isText,
  read: (draft, component) => (draft.trim() === '' ? readEmpty(component) : { value: draft.trim() }),
  View: EmailField,
})

function EmailField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<string>) {
  return (
    <FieldFrame id={id} component={component} error={error}>
      <input
        {...controlProps(id, component, error)}
        type="email"
        className="control"
        autoComplete="off"
        value={draft}
        placeholder={textOf(component.props, 'placeholder')}
        disabled={isDisabled || flagOf(component.props, 'disabled')}
        onChange={event => onDraft(event.target.value)}
      />
    </FieldFrame>
  )
}
