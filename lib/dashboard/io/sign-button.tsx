/**
 * Turns a number in a text field into its opposite. On touch screens only: the keypads that `inputmode` asks for have no
 * minus on an iPhone. It carries no words and sends nothing.
 */
import { Icon } from '../components/icon.js'
import { negated } from './number-text.js'

interface SignButtonProps {
  /** Of the text field. */
  id: string
  draft: string
  onDraft: (draft: string) => void
  className?: string
}

export function SignButton({ id, draft, onDraft, className = '' }: SignButtonProps) {
  return (
    <button
      type="button"
      aria-label="Change sign"
      aria-describedby={`${id}-label`}
      className={`button hidden flex-none px-3 pointer-coarse:inline-flex ${className}`}
      onClick={() => {
        // Before the text changes, which leaves the caret behind it: what is typed next belongs there.
        document.getElementById(id)?.focus()
        onDraft(negated(draft))
      }}
    >
      <Icon name="plusMinus" />
    </button>
  )
}
