/** What every command is given and how it answers. A command is one file that exports a `Command`. */
import type { Readable, Writable } from 'node:stream'
import type { CommandFlag, LoadedConfig } from '../config/index.js'

export interface CommandContext {
  /** What stands behind the command's name. */
  readonly words: readonly string[]
  readonly flags: ReadonlyMap<string, string | true>
  /** Reads the configuration at the first call; rejects with a `ConfigurationError`. */
  configuration(): LoadedConfig
  readonly io: CommandIo
}

/** The process as a command sees it, so that tests can give another one. */
export interface CommandIo {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Working directory. */
  readonly folder: string
  readonly input: Readable
  /** Standard output, for what is too much to print at once. */
  readonly output: Writable
  /** Writes one line to standard output. */
  print(line: string): void
  /** Writes one line to standard error. */
  complain(line: string): void
  /** Calls the handler for each SIGTERM and SIGINT. Returns a function that ends it. */
  onStopSignal(handler: (signal: string) => void): () => void
}

export interface Command {
  readonly name: string
  readonly aliases?: readonly string[]
  /** Words behind the name, as the help shows them. */
  readonly usage: string
  /** One line. */
  readonly summary: string
  /** Further lines of the command's own help. */
  readonly details?: readonly string[]
  readonly flags: readonly CommandFlag[]
  /** Resolves with the exit code: 0 done, 1 failed, 2 not understood. */
  run(context: CommandContext): Promise<number>
}

/** The command line itself is wrong: exit code 2, and the line says how it should be. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

export const jsonFlag: CommandFlag = {
  name: 'json',
  takesValue: false,
  description: 'machine-readable output',
}
