/**
 * Reading what hosts wrote, without trusting its shape: SDKs of several ages and languages leave props out, write
 * nulls, or send other types. Each reader gives the value when it has the type, otherwise the default.
 */
export type Props = Readonly<Record<string, unknown>>

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function textOf(props: Props, key: string): string | undefined {
  const value = props[key]
  return typeof value === 'string' ? value : undefined
}

export function numberOf(props: Props, key: string): number | undefined {
  const value = props[key]
  return typeof value === 'number' && !Number.isNaN(value) ? value : undefined
}

export function flagOf(props: Props, key: string, otherwise = false): boolean {
  const value = props[key]
  return typeof value === 'boolean' ? value : otherwise
}

export function recordsOf(props: Props, key: string): Record<string, unknown>[] {
  const value = props[key]
  return Array.isArray(value) ? value.filter(isRecord) : []
}

/** A label may be any primitive or a date; people read text. */
export function labelText(value: unknown, write: (date: Date) => string): string {
  if (value instanceof Date) return write(value)
  return value === null || value === undefined ? '' : String(value)
}
