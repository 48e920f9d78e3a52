/** Keys and tokens: the one that was just made, shown this once to be taken elsewhere, and its row in a list ever after. */
import type { ReactNode } from 'react'
import { CopyButton } from './copy-button.js'
import { Banner } from './notice.js'

export function SecretOnce({
  text,
  children,
  copyLabel,
}: {
  text: string
  children: ReactNode
  copyLabel?: string
}) {
  return (
    <Banner tone="success" role="status">
      <div className="grid gap-2 py-1">
        <p className="font-medium [overflow-wrap:anywhere]">{children}</p>
        <div className="flex flex-wrap items-center gap-3">
          <code className="min-w-0 font-mono [overflow-wrap:anywhere] text-ink">{text}</code>
          <CopyButton text={text} {...(copyLabel !== undefined && { label: copyLabel })} />
        </div>
      </div>
    </Banner>
  )
}

export function SecretRow({
  name,
  badge,
  prefix,
  details,
  onRevoke,
}: {
  name: string
  badge: ReactNode
  /** How it begins, to tell it by; empty when nobody knows. */
  prefix: string
  details: ReactNode
  onRevoke: () => void
}) {
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
      <div className="min-w-0 flex-1 basis-60">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1 font-medium">
          <span className="min-w-0 [overflow-wrap:anywhere]">{name || 'Without a label'}</span>
          {badge}
          {prefix !== '' && <code className="font-mono text-sm font-normal text-muted">{prefix}…</code>}
        </p>
        <p className="text-sm [overflow-wrap:anywhere] text-muted">{details}</p>
      </div>
      <button
        type="button"
        className="button small"
        aria-label={`Revoke ${name || prefix}`}
        onClick={onRevoke}
      >
        Revoke
      </button>
    </li>
  )
}
