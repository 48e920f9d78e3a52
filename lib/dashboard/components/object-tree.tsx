/** A nested value: leaves as term and definition, containers as something to fold. */
import { formatDateTime } from '../format.js'

/** Containers with fewer entries are open at first. */
const openEntriesMax = 5
const depthMax = 32

export function ObjectTree({ value, depth = 0 }: { value: unknown; depth?: number }) {
  const entries = entriesOf(value)
  if (entries === null) return <span>{leafText(value)}</span>
  if (depth > depthMax) return <span>…</span>
  return (
    <div className="grid gap-1">
      {entries.map(([key, inner], index) => {
        const nested = entriesOf(inner)
        const id = `${index}-${key}`
        if (nested === null) {
          return (
            <dl key={id} className="flex gap-3">
              <dt className="text-muted">{key}</dt>
              <dd className="break-all">{leafText(inner)}</dd>
            </dl>
          )
        }
        return (
          <details key={id} open={nested.length < openEntriesMax}>
            <summary className="text-muted">{key}</summary>
            <div className="ml-2 border-l border-line pt-1 pl-4">
              <ObjectTree value={inner} depth={depth + 1} />
            </div>
          </details>
        )
      })}
    </div>
  )
}

/** The entries of a container, or null for a leaf. */
export function entriesOf(value: unknown): [string, unknown][] | null {
  if (typeof value !== 'object' || value === null) return null
  if (value instanceof Date || value instanceof RegExp || value instanceof Error) return null
  if (value instanceof Map) return [...value].map(([key, inner]) => [String(key), inner])
  if (value instanceof Set) return [...value].map((inner, index) => [String(index), inner])
  if (Array.isArray(value)) return value.map((inner, index) => [String(index), inner])
  return Object.entries(value)
}

function leafText(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Date) return formatDateTime(value)
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return String(value)
}
