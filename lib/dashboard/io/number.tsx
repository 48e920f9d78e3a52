/** INPUT_NUMBER: whole numbers unless decimals or a currency allow fractions. The draft is the text as typed. */
import { flagOf, numberOf, type Props, textOf } from '../props.js'
import { controlProps, FieldFrame } from './field.js'
import { type Component, type FieldProps, inputMethod, isText, type Reading, readEmpty } from './method.js'
import { numberText, plainNumber } from './number-text.js'
import { SignButton } from './sign-button.js'

/** The default value as it would be typed. */
export function initialNumber({ props }: Component): string {
  const value = numberOf(props, 'defaultValue')
  return value === undefined ? '' : numberText(value)
}

export const number = inputMethod<string>({
  initial: initialNumber,
  accepts: isText,
  read: readNumber,
  View: NumberField,
})

/** How many digits may follow the point. */
export function decimalsOf(props: Props): number {
  return numberOf(props, 'decimals') ?? (textOf(props, 'currency') === undefined ? 0 : 2)
}

export function readNumber(draft: string, component: Component): Reading {
  if (draft.trim() === '') return readEmpty(component)
  const typed = plainNumber(draft)
  if (typed === null) return { error: 'Please enter a valid number.' }
  const value = Number(typed)
  const decimals = decimalsOf(component.props)
  const fraction = typed.split('.')[1] ?? ''
  if (decimals === 0 && fraction !== '') return { error: 'Please enter a whole number.' }
  if (fraction.length > decimals) {
    return {
      error: `Please enter a number with up to ${decimals} decimal ${decimals === 1 ? 'place' : 'places'}.`,
    }
  }
  const problem = rangeProblem(value, numberOf(component.props, 'min'), numberOf(component.props, 'max'))
  return problem === null ? { value } : { error: problem }
}

/** The sentence for a number outside of its bounds, or null. */
export function rangeProblem(value: number, min: number | undefined, max: number | undefined): string | null {
  if (value >= (min ?? Number.NEGATIVE_INFINITY) && value <= (max ?? Number.POSITIVE_INFINITY)) return null
  if (min !== undefined && max !== undefined) return `Please enter a number between ${min} and ${max}.`
  if (min !== undefined) return `Please enter a number greater than or equal to ${min}.`
  return `Please enter a number less than or equal to ${max}.`
}

function NumberField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<string>) {
  const { props } = component
  const prefix = textOf(props, 'prepend') ?? symbolOf(textOf(props, 'currency'))
  const off = isDisabled || flagOf(props, 'disabled')
  const canBeNegative = (numberOf(props, 'min') ?? Number.NEGATIVE_INFINITY) < 0
  return (
    <FieldFrame id={id} component={component} error={error}>
      <div className="flex">
        {prefix !== undefined && prefix !== '' && (
          <span
            className={`flex items-center rounded-l-control border border-r-0 bg-sunken px-3 text-muted ${off ? 'border-line' : 'border-line-strong'}`}
          >
            {prefix}
          </span>
        )}
        <input
          {...controlProps(id, component, error)}
          type="text"
          inputMode={decimalsOf(props) > 0 ? 'decimal' : 'numeric'}
          className={`control tabular-nums ${prefix ? 'rounded-l-none!' : ''}`}
          autoComplete="off"
          value={draft}
          placeholder={textOf(props, 'placeholder')}
          disabled={off}
          onChange={event => onDraft(event.target.value)}
        />
        {canBeNegative && !off && <SignButton id={id} draft={draft} onDraft={onDraft} className="ml-2" />}
      </div>
    </FieldFrame>
  )
}

function symbolOf(currency: string | undefined): string | undefined {
  if (currency === undefined) return undefined
  try {
    const parts = new Intl.NumberFormat(undefined, { style: 'currency', currency }).formatToParts(0)
    return parts.find(part => part.type === 'currency')?.value
  } catch {
    return currency
  }
}
