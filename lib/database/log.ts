/**
 * Where a line for the operator goes. The rooms at the bottom are given one and never write to a stream themselves;
 * fields never hold a secret.
 */
export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** Drops everything. */
export const silentLog: Log = { info() {}, warn() {}, error() {} }
