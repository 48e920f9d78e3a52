/** How a run ended, in a word. */
const words = {
  SUCCESS: ['Completed', 'bg-success-soft text-success'],
  FAILURE: ['Error', 'bg-danger-soft text-danger'],
  CANCELED: ['Canceled', 'bg-sunken text-muted'],
  REDIRECTED: ['Redirected', 'bg-sunken text-muted'],
} as const

export function ResultBadge({ result }: { result: string | null }) {
  const known = result !== null && Object.hasOwn(words, result) ? words[result as keyof typeof words] : null
  const [text, tone] = known ?? ['Not ended', 'bg-warning-soft text-warning']
  return (
    <span className={`inline-block rounded-full px-2.5 py-0.5 text-sm font-medium whitespace-nowrap ${tone}`}>
      {text}
    </span>
  )
}
