import { useState } from 'react'
import { Icon } from './icon.js'

const confirmationMs = 2_000

/** Copies a text; works on plain http too, where the clipboard API is not there. `words`: before and after. */
export function CopyButton({
  text,
  label,
  words: [before, after] = ['Copy', 'Copied'],
}: {
  text: string
  label?: string
  words?: readonly [string, string]
}) {
  const [isCopied, setCopied] = useState(false)
  const copy = async () => {
    const done = navigator.clipboard
      ? await navigator.clipboard.writeText(text).then(
          () => true,
          () => copyBySelection(text),
        )
      : copyBySelection(text)
    if (!done) return
    setCopied(true)
    setTimeout(() => setCopied(false), confirmationMs)
  }
  return (
    <button type="button" className="button small" aria-label={isCopied ? undefined : label} onClick={copy}>
      <Icon name={isCopied ? 'check' : 'copy'} className="size-4" />
      <span aria-live="polite">{isCopied ? after : before}</span>
    </button>
  )
}

function copyBySelection(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.setAttribute('readonly', '')
  area.style.position = 'fixed'
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}
