import type { ReactNode } from 'react'

/** A section's title, and its parts below. */
export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="grid gap-6">
      <h2 className="text-2xl font-semibold tracking-tight">{title}</h2>
      {children}
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
