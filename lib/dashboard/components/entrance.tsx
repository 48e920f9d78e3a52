import type { ReactNode } from 'react'
import { useTitle } from '../use-title.js'

/** The frame of the screens in front of the sign-in: one card in the middle. */
export function Entrance({
  title,
  text,
  children,
}: {
  title: string
  text?: ReactNode
  children?: ReactNode
}) {
  useTitle(title)
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="grid w-full max-w-sm gap-6">
        <Brand />
        <section className="card grid gap-5 p-6 sm:p-8">
          <div className="grid gap-1">
            <h1 className="text-xl font-semibold">{title}</h1>
            {text !== undefined && <p className="text-sm [overflow-wrap:anywhere] text-muted">{text}</p>}
          </div>
          {children}
        </section>
      </div>
    </main>
  )
}

export function Brand() {
  return (
    <span className="inline-flex items-center gap-2.5 font-semibold">
      <Mark />
      Interval
    </span>
  )
}

export function Mark() {
  return (
    <svg aria-hidden="true" viewBox="0 0 32 32" className="size-7 flex-none">
      <rect width="32" height="32" rx="8" fill="#0f6a6a" />
      <path d="M9 8v16M23 8v16M13 16h6" stroke="#fff" strokeWidth="3" strokeLinecap="round" />
    </svg>
  )
}
