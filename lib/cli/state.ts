/** `state`: reads and repairs the live state of a stopped node. The lock keeps it from a running one. */
import { didYouMean, openDataDirectory } from '../config/index.js'
import { type Command, jsonFlag, UsageError } from './command.js'

/** How long to wait for another short-lived command on the data directory, in ms. */
const waitMs = 10_000

export const stateCommand: Command = {
  name: 'state',
  usage: 'list|show|verify|export|import',
  summary: 'reads and repairs the live state of a stopped node',
  details: [
    'list [PREFIX]   every live object: transactions, hosts, pages …; --json prints one line each',
    'show KEY        all records of one, e.g. transaction:…',
    'verify          reads everything and reports what is damaged; exit 1 when something is',
    'export FILE     writes everything readable as lines of JSON (- for standard output)',
    'import FILE     writes such lines back; nothing is changed unless the whole file is good',
  ],
  flags: [
    jsonFlag,
    { name: 'overwrite', takesValue: false, description: 'import: replace what exists already' },
  ],
  async run({ words, flags, io, configuration }) {
    const [name, ...others] = words
    const { runStateAction, stateActions } = await import('./state-actions.js')
    const names = Object.keys(stateActions)
    if (name === undefined) throw new UsageError(`Say what to do: state ${names.join('|')}.`)
    const action = Object.hasOwn(stateActions, name) ? stateActions[name] : undefined
    if (action === undefined) throw new UsageError(`Unknown: state ${name}.${didYouMean(name, names)}`)
    if (others.length < action.wordsMin || others.length > action.wordsMax) {
      throw new UsageError(`Use: interval-server state ${name} ${action.usage}`.trimEnd())
    }
    const { config } = configuration()
    const directory = await openDataDirectory(config.storage.path, {
      secrets: config.secrets,
      command: 'state',
      create: name === 'import',
      waitMs,
    })
    try {
      return await runStateAction(action, {
        directory,
        words: others,
        json: flags.has('json'),
        overwrite: flags.has('overwrite'),
        io,
      })
    } finally {
      directory.close()
    }
  },
}
