/** CREDENTIALS: tokens of other services. No server of this kind holds any; it refuses the call, and this says why. */
import type { FieldProps, Method } from './method.js'

export const credentials: Method = {
  isDisplay: false,
  isImmediate: false,
  initial: () => null,
  read: () => ({ error: 'Credentials are not supported.' }),
  View: CredentialsNotice,
}

function CredentialsNotice({ component }: FieldProps<unknown>) {
  return (
    <div className="rounded-control border border-warning/40 bg-warning-soft px-4 py-3 text-sm text-warning">
      <p className="font-medium">{component.label}</p>
      <p>
        This action asks for credentials of another service. This server keeps none. Ask for a key with a text
        field, or read it from the environment of the host.
      </p>
    </div>
  )
}
