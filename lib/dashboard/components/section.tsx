/**
 * A section of an organization's or a person's screens: its one heading, what can be done, a problem, and what there is.
 * The frame around it draws the landmark (`SectionMain`) and keeps it while sections come and go.
 */
import type { ReactNode } from 'react'
import { useTitle } from '../use-title.js'
import { Banner, Loading, Problem } from './notice.js'

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

/** The landmark of screens that have no frame of their own width. */
export function SectionMain({ children }: { children: ReactNode }) {
  return <main className="mx-auto w-full max-w-4xl px-4 py-8 sm:px-8">{children}</main>
}

export function Section({ title, text, actions, problem, done, isLoading = false, children }: SectionProps) {
  useTitle(title)
  return (
    <div className="grid gap-6">
      <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="grid min-w-0 flex-1 basis-72 gap-1">
          <h2 className="text-2xl font-semibold tracking-tight [overflow-wrap:anywhere]">{title}</h2>
          {text !== undefined && <p className="text-muted">{text}</p>}
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-3">{actions}</div>}
      </header>
      {/* There from the start, so that screen readers hear what comes into it. */}
      <div role="status" className="empty:hidden">
        {done && <Banner tone="success">{done}</Banner>}
      </div>
      <Problem text={problem} />
      {isLoading ? !problem && <Loading /> : children}
    </div>
  )
}

/** One part of a section: what it is about, and what can be done. */
export function Part({ title, text, children }: { title: string; text?: ReactNode; children: ReactNode }) {
  return (
    <section className="card grid gap-5 p-5 sm:p-6">
      <div className="grid gap-1">
        <h3 className="text-lg font-semibold">{title}</h3>
        {text !== undefined && <div className="text-muted">{text}</div>}
      </div>
      {children}
    </section>
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
