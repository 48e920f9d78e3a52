/**
 * Finds the command in a command line and runs it. Flags may stand before or after its name.
 *
 * Exit codes: 0 done, 1 failed, 2 not understood (unknown command or flag, wrong configuration). Whatever goes wrong
 * is one line on standard error: a person at a terminal needs the sentence, not the stack. `DEBUG=interval:cli` adds
 * the stack.
 */
import createDebug from 'debug'
import {
  ConfigurationError,
  didYouMean,
  type LoadedConfig,
  loadConfig,
  readCommandLine,
} from '../config/index.js'
import { packageVersion } from '../root.js'
import { adminCommand } from './admin.js'
import { type Command, type CommandIo, UsageError } from './command.js'
import { configCommand } from './config.js'
import { databaseInitCommand } from './database-init.js'
import { describe } from './describe.js'
import { doctorCommand } from './doctor.js'
import { commonFlags, helpOf, overview } from './help.js'
import { ringCommand } from './ring.js'
import { runCommand } from './run.js'
import { stateCommand } from './state.js'

export const commands: readonly Command[] = [
  runCommand,
  databaseInitCommand,
  adminCommand,
  ringCommand,
  stateCommand,
  configCommand,
  doctorCommand,
]

/** Runs one command line (without the program's name) and resolves with the exit code. Never rejects. */
export async function dispatch(argv: readonly string[], io: CommandIo): Promise<number> {
  try {
    return await dispatchOrThrow(argv, io)
  } catch (error) {
    createDebug('interval:cli')('%O', error)
    io.complain(`interval-server: ${describe(error)}`)
    return error instanceof ConfigurationError || error instanceof UsageError ? 2 : 1
  }
}

async function dispatchOrThrow(argv: readonly string[], io: CommandIo): Promise<number> {
  // Which flags exist depends on the command, and where the command stands depends on which flags take a value.
  const every = [...commonFlags, ...commands.flatMap(command => command.flags)]
  const first = readCommandLine(argv, unique(every))
  if (first.commandFlags.has('version')) {
    io.print(packageVersion)
    return 0
  }
  const [named, ...others] = first.words
  const wantsHelp = first.commandFlags.has('help') || named === 'help'
  const name = named === 'help' ? others[0] : named
  if (name === undefined) {
    if (wantsHelp) io.print(overview(commands))
    else io.complain(overview(commands))
    return wantsHelp ? 0 : 2
  }
  const command = commands.find(each => each.name === name || each.aliases?.includes(name))
  if (command === undefined) {
    const names = commands.flatMap(each => [each.name, ...(each.aliases ?? [])])
    throw new UsageError(`Unknown command ${name}.${didYouMean(name, names)}`)
  }
  if (wantsHelp) {
    io.print(helpOf(command))
    return 0
  }
  const { flags, commandFlags, words } = readCommandLine(argv, unique([...commonFlags, ...command.flags]))
  let loaded: LoadedConfig | undefined
  const file = commandFlags.get('conf')
  return await command.run({
    words: words.slice(1),
    flags: commandFlags,
    configuration() {
      loaded ??= loadConfig({
        flags,
        environment: io.environment,
        folder: io.folder,
        ...(typeof file === 'string' ? { file } : {}),
      })
      return loaded
    },
    io,
  })
}

function unique<Flag extends { readonly name: string }>(flags: readonly Flag[]): Flag[] {
  return [...new Map(flags.map(flag => [flag.name, flag])).values()]
}
