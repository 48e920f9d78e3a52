/** What is shown for a method that this version does not know. The rest of the form works. */
import { FieldError } from './field.js'
import type { FieldProps, Method } from './method.js'

export const unknown: Method = {
  isDisplay: false,
  isImmediate: false,
  initial: () => null,
  // Nothing was chosen; whether that will do, the node decides.
  read: (_draft, component) => ({ value: component.methodName.startsWith('DISPLAY_') ? null : undefined }),
  View: UnknownNotice,
}

function UnknownNotice({ component, error }: FieldProps<unknown>) {
  return (
    <div className="grid gap-1.5">
      <div className="rounded-control border border-warning/40 bg-warning-soft px-4 py-3 text-sm text-warning">
        <p className="font-medium">{component.label}</p>
        <p>
          This server does not know <code className="font-mono">{component.methodName}</code>.{' '}
          {component.isOptional || component.methodName.startsWith('DISPLAY_')
            ? 'It is answered as left out.'
            : 'It cannot be left out, so that this step cannot be answered; update the server.'}
        </p>
      </div>
      {error !== null && <FieldError text={error} />}
    </div>
  )
}
