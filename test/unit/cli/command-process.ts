/** Runs commands as people do: the compiled entry in a process of its own, with an environment that the test gives. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const entry = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

export interface CommandOptions {
  readonly folder: string
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: string
}

export interface StartedCommand {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
}

export function startCommand(words: readonly string[], options: CommandOptions): StartedCommand {
  const child = spawn(process.execPath, [entry, ...words], {
    cwd: options.folder,
    env: { PATH: process.env.PATH ?? '', ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    errors += part
  })
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output, errors }))
  return { child, ended }
}

export function command(words: readonly string[], options: CommandOptions): Promise<Outcome> {
  return startCommand(words, options).ended
}
