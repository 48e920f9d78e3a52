/**
 * The button that sends a form. While the server is asked it turns and sends nothing; it keeps its size, so that nothing
 * moves, and the caret, which a disabled button would lose.
 */
import type { ReactNode } from 'react'

const looks = { primary: 'button primary', plain: 'button', danger: 'button danger bg-red-500' }

interface SubmitButtonProps {
  isBusy: boolean
  tone?: keyof typeof looks
  /** Does it, where there is no form around the button. */
  onPress?: () => void
  children: ReactNode
}

export function SubmitButton({ isBusy, tone = 'primary', onPress, children }: SubmitButtonProps) {
  return (
    <button
      type={onPress ? 'button' : 'submit'}
      className={`${looks[tone]} relative`}
      aria-disabled={isBusy}
      onClick={event => {
        if (isBusy) event.preventDefault()
        else onPress?.()
      }}
    >
      <Busy isBusy={isBusy}>{children}</Busy>
    </button>
  )
}

/** The words of a button, under a spinner while it is busy: its size stays. The button is `relative`. */
export function Busy({ isBusy, children }: { isBusy: boolean; children: ReactNode }) {
  if (!isBusy) return children
  return (
    <>
      <span className="opacity-0">{children}</span>
      <span className="absolute inset-0 grid place-items-center">
        <span className="spinner" />
      </span>
    </>
  )
}
