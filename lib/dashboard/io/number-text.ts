/** Numbers as people type them. Pure. */

/**
 * The number that was typed, with a point and without separators; null for anything else. Commas are taken where they
 * separate thousands and nowhere else: `1,5` is 1.5 to one person and a slip to another, and never 15.
 */
export function plainNumber(text: string): string | null {
  const typed = text.trim().replace(/^\u2212/, '-')
  const whole = typed.replace(
    /^([-+]?)(\d{1,3}(?:,\d{2,3})*,\d{3})(?=\.|$)/,
    (_all, sign: string, digits: string) => {
      return sign + digits.replaceAll(',', '')
    },
  )
  return /^[-+]?(\d+\.?\d*|\.\d+)$/.test(whole) ? whole : null
}

/** The text with the other sign; of nothing, a minus to begin with. */
export function negated(text: string): string {
  const typed = text.trim()
  return /^[-\u2212]/.test(typed) ? typed.slice(1) : `-${typed.replace(/^\+/, '')}`
}

/** A number as it would be typed: without a power of ten, which browsers and `toString` write for small and large ones. */
export function numberText(value: number): string {
  const text = String(value)
  if (!text.includes('e')) return text
  return value.toLocaleString('en-US', { useGrouping: false, maximumFractionDigits: 20 })
}
