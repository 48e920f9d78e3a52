/**
 * `run`: one node, from configuration to a clean stop.
 *
 * The data directory is locked before anything else is touched and given free after everything has stopped. The first
 * SIGTERM or SIGINT drains; the second ends at once, which loses nothing either (that is what `kill -9` is tested for).
 */
import createDebug from 'debug'
import { type Config, type DataDirectory, openDataDirectory } from '../config/index.js'
import { AppError } from '../errors.js'
import type { RunningNode, StartNode } from '../node/node-contract.js'
import type { Command, CommandContext } from './command.js'

/** How long a node may take to drain before it is ended, in ms. Container engines kill after 10 s by default. */
const stopMsMax = 9_000
/** How often a node looks whether the lock is still its own. */
const lockCheckMs = 1_000
/** How long to wait for another command (`admin`, `state`) that is just working on the data directory. */
const waitForCommandMs = 15_000

export const runCommand: Command = {
  name: 'run',
  aliases: ['start'],
  usage: '',
  summary: 'runs a node: dashboard, API, and the sockets of hosts and browsers',
  details: [
    'Without settings: http://127.0.0.1:3000, an embedded database and generated secrets in ./data.',
    'SIGTERM or SIGINT stops it gracefully, a second one at once.',
  ],
  flags: [],
  async run(context) {
    if (context.words.length > 0) throw tooMany(context.words)
    const { config, notices } = context.configuration()
    for (const notice of notices) context.io.complain(notice)
    showEverything(config, context.io.environment)
    const directory = await openDataDirectory(config.storage.path, {
      secrets: config.secrets,
      command: 'run',
      address: addressOf(config),
      waitMs: waitForCommandMs,
    })
    try {
      return await runNode(config, directory, context)
    } finally {
      directory.close()
    }
  },
}

function tooMany(words: readonly string[]): AppError {
  return new AppError('bad-request', `Unexpected ${JSON.stringify(words[0])}.`)
}

function showEverything(config: Config, environment: Readonly<Record<string, string | undefined>>): void {
  if (config.log.level !== 'debug') return
  const selected = environment.DEBUG ?? ''
  createDebug.enable(selected === '' ? 'interval:*' : `${selected},interval:*`)
}

/** Where this node can be reached from this machine. */
export function addressOf({ host, port }: Config): string {
  const isEverywhere = host === '0.0.0.0' || host === '::'
  return `http://${isEverywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host}:${port}`
}

async function runNode(config: Config, directory: DataDirectory, { io }: CommandContext): Promise<number> {
  let node: RunningNode | undefined
  let stopRequested: (signal: string) => void = () => {}
  const requested = new Promise<string>(resolve => {
    stopRequested = resolve
  })
  let signals = 0
  const endSignals = io.onStopSignal(signal => {
    signals += 1
    // The second signal, or the first before there is anything to drain.
    if (signals > 1 || node === undefined) {
      io.complain('stopped at once')
      directory.close()
      process.exit(signals > 1 ? 1 : 130)
    }
    stopRequested(signal)
  })
  const lost = lockLost(directory)
  try {
    const { startNode }: { startNode: StartNode } = await import('../node/index.js')
    node = await startNode({ config, directory, progress: line => io.print(line) })
    io.print(`Interval is ready at ${node.address}`)
    if (node.howToSignIn !== undefined) io.print(node.howToSignIn)
    const failure = node.failed ?? new Promise<Error>(() => {})
    const end = await Promise.race([requested, failure, lost])
    if (typeof end === 'string') io.print('stopping …')
    else io.complain(`interval-server: ${end.message}`)
    const isStopped = await withDeadline(node.stop(), stopMsMax)
    if (!isStopped) io.complain(`did not drain within ${stopMsMax / 1_000} s; ended`)
    else io.print('stopped')
    return typeof end === 'string' && isStopped ? 0 : 1
  } finally {
    endSignals()
  }
}

/** Resolves when the data directory is not ours any more: a node that slept for long may find another one in it. */
function lockLost(directory: DataDirectory): Promise<Error> {
  return new Promise(resolve => {
    const timer = setInterval(() => {
      let isHeld: boolean
      try {
        isHeld = directory.isHeld()
      } catch {
        // It cannot be read at the moment (no file descriptor is left, say), which proves nothing.
        return
      }
      if (isHeld) return
      clearInterval(timer)
      resolve(new Error(`The lock of ${directory.path} is gone or another process has it.`))
    }, lockCheckMs)
    timer.unref()
  })
}

/** True when the promise resolved in time. */
async function withDeadline(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>(resolve => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([promise.then(() => true as const), late])
  } finally {
    clearTimeout(timer)
  }
}
