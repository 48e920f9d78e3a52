/** INPUT_URL: an address with one of the allowed protocols (http and https unless the host says otherwise). */
import { flagOf, type Props, textOf } from '../props.js'
import { controlProps, FieldFrame } from './field.js'
import { type Component, type FieldProps, inputMethod, isText, type Reading, readEmpty } from './method.js'

export const url = inputMethod<string>({
  initial: component => {
    const value = component.props.defaultValue
    return value instanceof URL ? value.href : typeof value === 'string' ? value : ''
  },
  accepts: isText,
  read: readUrl,
  View: UrlField,
})

export function readUrl(draft: string, component: Component): Reading {
  const typed = draft.trim()
  if (typed === '') return readEmpty(component)
  let address: URL
  try {
    address = new URL(typed)
  } catch {
    return { error: 'Please enter a valid URL.' }
  }
  const protocols = protocolsOf(component.props)
  if (!protocols.includes(address.protocol.replace(/:$/, ''))) {
    const last = protocols.at(-1) ?? ''
    const list = protocols.length > 1 ? `${protocols.slice(0, -1).join(', ')} or ${last}` : last
    return { error: `The URL must begin with ${list}.` }
  }
  return { value: typed }
}

function protocolsOf(props: Props): string[] {
  const allowed = props.allowedProtocols
  const named = Array.isArray(allowed) ? allowed.filter(item => typeof item === 'string') : []
  return named.length === 0 ? ['http', 'https'] : named.map(item => item.replace(/:(\/\/)?$/, ''))
}

function UrlField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<string>) {
  return (
    <FieldFrame id={id} component={component} error={error}>
      <input
        {...controlProps(id, component, error)}
        type="text"
        inputMode="url"
        className="control"
        autoComplete="off"
        spellCheck={false}
        value={draft}
        placeholder={textOf(component.props, 'placeholder')}
        disabled={isDisabled || flagOf(component.props, 'disabled')}
        onChange={event => onDraft(event.target.value)}
      />
    </FieldFrame>
  )
}
