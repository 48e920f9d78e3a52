/** INPUT_DATE, INPUT_TIME and INPUT_DATETIME: a typed date with a calendar, and three selects for the time. */
import { useState } from 'react'
import { flagOf } from '../props.js'
import { Calendar } from './calendar.js'
import { controlProps, FieldFrame } from './field.js'
import { type FieldProps, inputMethod, type Method } from './method.js'
import {
  dayOf,
  dayText,
  draftOf,
  isMomentDraft,
  type MomentDraft,
  type MomentKind,
  pad,
  parseDay,
  readMoment,
} from './moments.js'
import { useFocusLeave } from './use-focus-leave.js'

export const date = momentMethod('date')
export const time = momentMethod('time')
export const dateTime = momentMethod('datetime')

function momentMethod(kind: MomentKind): Method {
  return inputMethod<MomentDraft>({
    initial: component => draftOf(component.props.defaultValue),
    accepts: isMomentDraft,
    read: (draft, component) => readMoment(kind, draft, component),
    View: props => <MomentField kind={kind} {...props} />,
  })
}

const hours = Array.from({ length: 12 }, (_none, index) => String(index + 1))
const minutes = Array.from({ length: 60 }, (_none, index) => pad(index))

function MomentField({
  kind,
  id,
  component,
  draft,
  onDraft,
  isDisabled,
  error,
}: FieldProps<MomentDraft> & { kind: MomentKind }) {
  const [isOpen, setOpen] = useState(false)
  const off = isDisabled || flagOf(component.props, 'disabled')
  const hasDate = kind !== 'time'
  const focusLeave = useFocusLeave(isOpen, () => setOpen(false))
  const controls = (
    <div className="iv-datepicker flex flex-wrap items-center gap-2">
      {hasDate && (
        <input
          {...controlProps(id, component, error)}
          type="text"
          inputMode="numeric"
          data-no-first-focus=""
          autoComplete="off"
          placeholder="MM/DD/YYYY"
          className="control w-40! tabular-nums max-sm:w-32!"
          value={draft.date}
          disabled={off}
          onFocus={() => setOpen(true)}
          onClick={() => setOpen(true)}
          onKeyDown={event => {
            if (event.key === 'Escape') setOpen(false)
          }}
          onChange={event => onDraft({ ...draft, date: event.target.value })}
        />
      )}
      {kind !== 'date' && (
        <>
          <Part
            id={hasDate ? `${id}-hour` : id}
            label="Hour"
            values={hours}
            value={draft.hour}
            isDisabled={off}
            onChange={hour => onDraft({ ...draft, hour })}
          />
          <span aria-hidden="true">:</span>
          <Part
            id={`${id}-minute`}
            label="Minute"
            values={minutes}
            value={draft.minute}
            isDisabled={off}
            onChange={minute => onDraft({ ...draft, minute })}
          />
          <Part
            id={`${id}-half`}
            label="Half of the day"
            values={['am', 'pm']}
            value={draft.half}
            isDisabled={off}
            onChange={half => onDraft({ ...draft, half })}
          />
        </>
      )}
    </div>
  )
  return (
    <FieldFrame id={id} component={component} error={error}>
      {hasDate ? (
        <div {...focusLeave} className="iv-timepicker relative justify-self-start">
          {controls}
          {isOpen && !off && (
            <Calendar
              chosen={parseDay(draft.date)}
              min={dayOf(component.props.min)}
              max={dayOf(component.props.max)}
              onChoose={day => {
                onDraft({ ...draft, date: dayText(day) })
                setOpen(false)
              }}
            />
          )}
        </div>
      ) : (
        controls
      )}
    </FieldFrame>
  )
}

interface PartProps {
  id: string
  label: string
  values: readonly string[]
  value: string
  isDisabled: boolean
  onChange: (value: string) => void
}

function Part({ id, label, values, value, isDisabled, onChange }: PartProps) {
  return (
    <select
      id={id}
      aria-label={label}
      className="control w-auto! tabular-nums max-sm:px-1.5!"
      value={value}
      disabled={isDisabled}
      onChange={event => onChange(event.target.value)}
    >
      <option value="">--</option>
      {values.map(option => (
        <option key={option} value={option}>
          {option.toUpperCase()}
        </option>
      ))}
    </select>
  )
}
