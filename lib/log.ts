/**
 * Logging: an event name and fields, never a sentence built from data. Lines go through `debug`, so that
 * `DEBUG=interval:partitions*` shows one folder; warnings and errors are also shown when nothing is selected.
 *
 * Invariant: nothing secret is ever printed. A `Secret` prints as `[secret]` in every way a value can be printed, so a
 * secret that is passed as a field by mistake still does not leave the process.
 */
import { inspect } from 'node:util'
import createDebug from 'debug'

export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A log whose namespace is this one's, a colon, and `name`. */
  child(name: string): Log
}

const hidden = '[secret]'

/** A value that cannot be printed: not by a log, JSON, a template string or the inspector. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself, for the one place that needs it. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return hidden
  }

  toJSON(): string {
    return hidden
  }

  [inspect.custom](): string {
    return hidden
  }
}

/** A log under `namespace` (e.g. `interval:partitions`), written by `debug` to standard error. */
export function createLog(namespace: string): Log {
  const details = createDebug(namespace)
  // Problems must be seen without anybody having asked for them.
  const problems = createDebug(namespace)
  problems.enabled = true
  return {
    debug: (event, fields) => details.enabled && details(formatLine(event, fields)),
    info: (event, fields) => details.enabled && details(formatLine(event, fields)),
    warn: (event, fields) => problems(formatLine(`warn ${event}`, fields)),
    error: (event, fields) => problems(formatLine(`error ${event}`, fields)),
    child: name => createLog(`${namespace}:${name}`),
  }
}

/** Says nothing: for tests. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
}

function formatLine(event: string, fields: LogFields = {}): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name}=${formatValue(value)}`)
  // `debug` treats percent signs as format directives.
  return [event, ...parts].join(' ').replaceAll('%', '%%')
}

function formatValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.stack ?? value.message)
  if (typeof value === 'string') return /^[\w:./@-]+$/.test(value) ? value : JSON.stringify(value)
  if (typeof value === 'bigint') return value.toString()
  return JSON.stringify(value) ?? 'undefined'
}
