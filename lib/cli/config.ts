/** `config`: what a node would run with, and where each value came from. Secrets are masked in every form. */
import { type KeyPath, keyPaths, type LoadedConfig, maskAddress } from '../config/index.js'
import { Secret } from '../log.js'
import { type Command, jsonFlag } from './command.js'
import { textTable } from './help.js'

export const configCommand: Command = {
  name: 'config',
  usage: '',
  summary: 'shows the effective settings and where each came from; secrets are masked',
  flags: [jsonFlag],
  async run({ flags, io, configuration }) {
    const loaded = configuration()
    if (flags.has('json')) {
      io.print(
        JSON.stringify(Object.fromEntries(keyPaths.map(path => [path, describeKey(loaded, path)])), null, 2),
      )
      return 0
    }
    const rows = keyPaths.map(path => {
      const { value, source, writtenAs } = describeKey(loaded, path)
      const text = value === null ? '-' : Array.isArray(value) ? value.join(',') || '-' : String(value)
      const from = source === null ? 'unset' : source === 'default' ? 'default' : `${source} ${writtenAs}`
      return [path, text, from]
    })
    for (const line of textTable(['key', 'value', 'from'], rows)) io.print(line)
    for (const notice of loaded.notices) io.complain(notice)
    return 0
  },
}

function describeKey(
  { values, origins }: LoadedConfig,
  path: KeyPath,
): { value: unknown; source: string | null; writtenAs: string | null } {
  const value = values[path]
  const origin = origins[path]
  const shown =
    value instanceof Secret ? (path === 'database:url' ? maskAddress(value.reveal()) : '***') : value
  return { value: shown, source: origin?.source ?? null, writtenAs: origin?.writtenAs ?? null }
}
