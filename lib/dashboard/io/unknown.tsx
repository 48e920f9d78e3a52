/** What is shown for a method that this version does not know. The rest of the form works. */
import type { FieldProps, Method } from './method.js'

export const unknown: Method = {
  isDisplay: false,
  isImmediate: false,
  initial: () => null,
  // Nothing was chosen; whether that will do, the node decides.
  read: (_draft, component) => ({ value: component.methodName.startsWith('DISPLAY_') ? null : undefined }),
  View: UnknownNotice,
}

function UnknownNotice({ component }: FieldProps<unknown>) {
  return (
    <div className="rounded-control border border-warning/40 bg-warning-soft px-4 py-3 text-sm text-warning">
      <p className="font-medium">{component.label}</p>
      <p>
        This server cannot show <code className="font-mono">{component.methodName}</code> yet. It is answered
        as left out.
      </p>
    </div>
  )
}
