/**
 * `admin <operation>`: one JSON argument on standard input, one JSON result on standard output, for scripts.
 *
 * The running node does the work, over its local socket; where no node runs, this process locks the data directory and
 * opens the database itself. Between the two lies a node that is just starting or stopping, or another such command:
 * then it waits and tries both again, bounded.
 */
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import {
  adminSocketPathFor,
  type Config,
  type DataDirectory,
  lockHolderOf,
  openDataDirectory,
  systemProcesses,
} from '../config/index.js'
import { AppError } from '../errors.js'
import { adminMessageBytesMax, askAdmin, isNobodyThere } from '../node/admin-socket.js'
import { type Command, UsageError } from './command.js'

/** How long to wait for a node that is starting or stopping, in ms. */
const waitMsMax = 30_000
const retryMs = 150

export const adminCommand: Command = {
  name: 'admin',
  usage: '<operation>',
  summary: 'runs one operation for scripts: JSON on standard input, JSON on standard output',
  details: [
    `For example: echo '{"email":"a@example.com"}' | interval-server admin findUser`,
    'Asks the running node of the same storage:path, or opens the database itself when none runs.',
    'A failure is one line on standard error and exit code 1; something missing is null.',
  ],
  flags: [],
  async run({ words, io, configuration }) {
    const [operation, ...others] = words
    if (operation === undefined) throw new UsageError('Name an operation: interval-server admin <operation>.')
    if (others.length > 0) {
      throw new UsageError(`Unexpected ${JSON.stringify(others[0])}: the argument is JSON on standard input.`)
    }
    const { config } = configuration()
    const argument = parseArgument(await readAll(io.input))
    const result = await runOperation(config, operation, argument)
    io.print(JSON.stringify(result ?? null))
    return 0
  },
}

async function runOperation(config: Config, operation: string, argument: unknown): Promise<unknown> {
  const path = config.storage.path
  const processes = systemProcesses()
  const deadlineMs = Date.now() + waitMsMax
  for (;;) {
    const holder = lockHolderOf(path, processes)
    try {
      return await askAdmin(holder?.adminSocket ?? adminSocketPathFor(path), operation, argument)
    } catch (error) {
      if (!isNobodyThere(error)) throw error
    }
    let directory: DataDirectory
    try {
      directory = await openDataDirectory(path, { secrets: config.secrets, command: 'admin' })
    } catch (error) {
      const isHeld = error instanceof AppError && error.code === 'conflict'
      if (!isHeld || Date.now() > deadlineMs) throw error
      await wait(retryMs)
      continue
    }
    try {
      const { runAdminAlone } = await import('./admin-alone.js')
      return await runAdminAlone(config, directory, operation, argument)
    } finally {
      directory.close()
    }
  }
}

/** Nothing on standard input means no argument. */
function parseArgument(text: string): unknown {
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    throw new AppError('bad-request', 'Standard input must hold one JSON value.')
  }
}

async function readAll(input: Readable & { isTTY?: boolean }): Promise<string> {
  if (input.isTTY) return ''
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of input) {
    const buffer = Buffer.from(part as Buffer | string)
    bytes += buffer.length
    if (bytes > adminMessageBytesMax) throw new AppError('too-large', 'The argument is too large.')
    parts.push(buffer)
  }
  return Buffer.concat(parts).toString('utf8')
}
