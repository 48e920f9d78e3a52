/** What the parts of the single sign-on screen share. */
import type { ReactNode } from 'react'
import type { JoiningRole } from '../../api-sign-on.js'
import { Select } from '../../components/choice.js'
import { CopyButton } from '../../components/copy-button.js'

const roleLabels: Readonly<Record<JoiningRole, string>> = {
  ACTION_RUNNER: 'Action runner',
  DEVELOPER: 'Developer',
  READONLY_VIEWER: 'Viewer',
}

/** What somebody becomes who comes for the first time. */
export function RoleSelect({
  id,
  label,
  value,
  onChange,
}: {
  id: string
  label: string
  value: JoiningRole
  onChange: (role: JoiningRole) => void
}) {
  return (
    <Select
      id={id}
      name={id}
      label={label}
      value={value}
      options={Object.entries(roleLabels).map(([role, name]) => ({ value: role, label: name }))}
      onChange={event => onChange(event.target.value as JoiningRole)}
    />
  )
}

/** A text to take elsewhere, with its name. */
export function Copied({ label, text, children }: { label: string; text: string; children?: ReactNode }) {
  return (
    <div className="grid gap-1">
      <span className="text-sm font-medium">{label}</span>
      <span className="flex flex-wrap items-center gap-3">
        <code className="min-w-0 font-mono text-sm break-all">{text}</code>
        <CopyButton text={text} />
      </span>
      {children}
    </div>
  )
}
