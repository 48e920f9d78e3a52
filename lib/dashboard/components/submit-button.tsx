/** The button that sends a form: it turns while the server is asked, and cannot be pressed twice. */
import type { ReactNode } from 'react'

const looks = { primary: 'button primary', plain: 'button', danger: 'button danger bg-red-500' }

export function SubmitButton({
  isBusy,
  tone = 'primary',
  children,
}: {
  isBusy: boolean
  tone?: keyof typeof looks
  children: ReactNode
}) {
  return (
    <button type="submit" className={looks[tone]} disabled={isBusy}>
      {isBusy && <span className="spinner" />}
      {children}
    </button>
  )
}
