/** INPUT_BOOLEAN: a box to tick; never "required", since unticked is an answer. */
import { flagOf } from '../props.js'
import { FieldNotes, LabelWords, tickProps } from './field.js'
import { type FieldProps, inputMethod } from './method.js'

export const boolean = inputMethod<boolean>({
  initial: component => flagOf(component.props, 'defaultValue'),
  accepts: (draft): draft is boolean => typeof draft === 'boolean',
  read: draft => ({ value: draft }),
  View: BooleanField,
})

function BooleanField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<boolean>) {
  return (
    <div className="grid gap-1.5">
      <label htmlFor={id} className="flex items-center gap-2.5 justify-self-start font-medium">
        <input
          {...tickProps(id, component, error)}
          type="checkbox"
          className="tick"
          checked={draft}
          disabled={isDisabled || flagOf(component.props, 'disabled')}
          onChange={event => onDraft(event.target.checked)}
        />
        <span>
          <LabelWords component={component} />
        </span>
      </label>
      <FieldNotes id={id} component={component} error={error} />
    </div>
  )
}
