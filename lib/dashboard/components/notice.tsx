import type { ReactNode } from 'react'
import { useTitle } from '../use-title.js'

/** A spinner for a screen that is not there yet; says so to screen readers only. */
export function Loading() {
  return (
    <div className="grid min-h-[40vh] place-items-center text-muted" role="status" aria-label="Loading">
      <span className="spinner" />
    </div>
  )
}

/** A whole screen's empty or error state, inside a frame. */
export function Notice({ title, text, children }: { title: string; text?: string; children?: ReactNode }) {
  useTitle(title)
  return (
    <main className="mx-auto grid w-full max-w-md justify-items-center gap-3 px-6 py-20 text-center">
      <h2 className="text-xl font-semibold">{title}</h2>
      {text !== undefined && <p className="[overflow-wrap:anywhere] text-muted">{text}</p>}
      {children !== undefined && <div className="mt-2 flex gap-3">{children}</div>}
    </main>
  )
}

const tones = {
  danger: 'border-danger/40 bg-danger-soft text-danger',
  warning: 'border-warning/40 bg-warning-soft text-warning',
  success: 'border-success/40 bg-success-soft text-success',
  plain: 'border-line bg-sunken text-ink',
}

/** A line or two about the state of something, inside a screen. */
export function Banner({
  tone,
  role,
  children,
}: {
  tone: keyof typeof tones
  role?: 'alert' | 'status'
  children: ReactNode
}) {
  return (
    <div role={role} className={`rounded-control border px-4 py-2.5 text-sm ${tones[tone]}`}>
      {children}
    </div>
  )
}

/** What went wrong with a form or a list; nothing when nothing did. */
export function Problem({ text }: { text: string | null | undefined }) {
  if (!text) return null
  return (
    <Banner tone="danger" role="alert">
      {text}
    </Banner>
  )
}
