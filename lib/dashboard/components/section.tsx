/** A section of an organization's screens: its one heading, what can be done, a problem, and what there is. */
import type { ReactNode } from 'react'
import { Banner, Loading } from './notice.js'

interface SectionProps {
  title: string
  text?: ReactNode
  /** Buttons beside the heading. */
  actions?: ReactNode
  problem?: string | null
  /** Said once something was done. */
  done?: string | null
  isLoading?: boolean
  children: ReactNode
}

export function Section({ title, text, actions, problem, done, isLoading = false, children }: SectionProps) {
  return (
    <main className="mx-auto grid w-full max-w-4xl content-start gap-6 px-4 py-8 sm:px-8">
      <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="grid min-w-0 flex-1 basis-72 gap-1">
          <h2 className="text-2xl font-semibold tracking-tight">{title}</h2>
          {text !== undefined && <p className="text-muted">{text}</p>}
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-3">{actions}</div>}
      </header>
      {/* There from the start, so that screen readers hear what comes into it. */}
      <div role="status" className="empty:hidden">
        {done && <Banner tone="success">{done}</Banner>}
      </div>
      {problem && (
        <Banner tone="danger" role="alert">
          {problem}
        </Banner>
      )}
      {isLoading ? !problem && <Loading /> : children}
    </main>
  )
}

/** Where a list would be, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="card grid justify-items-center gap-2 px-6 py-10 text-center">
      <p className="font-medium">{title}</p>
      {children !== undefined && <div className="max-w-md text-muted">{children}</div>}
    </div>
  )
}

const badgeTones = {
  plain: 'bg-sunken text-ink',
  accent: 'bg-accent-soft text-accent',
  success: 'bg-success-soft text-success',
  warning: 'bg-warning-soft text-warning',
  danger: 'bg-danger-soft text-danger',
}

/** A word or two about something in a list. */
export function Badge({ tone = 'plain', children }: { tone?: keyof typeof badgeTones; children: ReactNode }) {
  return (
    <span className={`rounded-full px-2 py-0.5 text-xs font-medium whitespace-nowrap ${badgeTones[tone]}`}>
      {children}
    </span>
  )
}
