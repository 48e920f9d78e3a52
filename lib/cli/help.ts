/** The help texts, made from the commands and the schema of keys. */

import type { CommandFlag } from '../config/index.js'
import { allowedFor, environmentNameOf, keyOf, keyPaths } from '../config/index.js'
import type { Command } from './command.js'

/** Flags of every command. */
export const commonFlags: readonly CommandFlag[] = [
  { name: 'conf', takesValue: true, description: 'a JSON file of settings' },
  { name: 'help', short: 'h', takesValue: false, description: 'explains a command and its flags' },
  { name: 'version', short: 'V', takesValue: false, description: 'prints the version' },
]

export function overview(commands: readonly Command[]): string {
  const rows = commands.map(command => [usageOf(command), command.summary] as const)
  return [
    'Usage: interval-server <command> [flags]',
    '',
    ...columns(rows),
    '',
    '`interval-server <command> --help` explains a command with all its flags.',
    'First steps: interval-server run --demo',
  ].join('\n')
}

export function helpOf(command: Command): string {
  const own = [...command.flags, ...commonFlags].map(flag => {
    const short = flag.short === undefined ? '' : `-${flag.short}, `
    return [`${short}--${flag.name}${flag.takesValue ? ' …' : ''}`, flag.description] as const
  })
  const names = command.aliases === undefined ? '' : ` (also: ${command.aliases.join(', ')})`
  return [
    `Usage: interval-server ${usageOf(command)} [flags]${names}`,
    '',
    `  ${command.summary}`,
    ...(command.details ?? []).map(line => `  ${line}`),
    '',
    'Flags:',
    ...columns(own),
    '',
    'Settings, the same for every command. `--a:b` is also A__B in the environment or in .env,',
    'and {"a":{"b":…}} in the file given with --conf. Flags win, then the environment, then the file.',
    ...columns(settingRows()),
  ].join('\n')
}

function settingRows(): (readonly [string, string])[] {
  return keyPaths.map(path => {
    const key = keyOf(path)
    const short = key.short === undefined ? '' : `-${key.short}, `
    const aliases = (key.aliases ?? []).map(alias => `, --${alias}`).join('')
    const isSet = key.default !== null && String(key.default) !== ''
    const also = (key.originals ?? []).map(original => original.name)
    const notes = [
      ...(key.type === 'text' ? [] : [allowedFor(key)]),
      ...(isSet ? [`default ${String(key.default)}`] : []),
      ...(also.length === 0 || also[0] === environmentNameOf(path) ? [] : [`also ${also.join(', ')}`]),
    ]
    const suffix = notes.length === 0 ? '' : ` [${notes.join('; ')}]`
    const flag = key.type === 'boolean' ? `--[no-]${path}` : `--${path}`
    return [`${short}${flag}${aliases}`, `${key.description}${suffix}`] as const
  })
}

function usageOf(command: Command): string {
  return command.usage === '' ? command.name : `${command.name} ${command.usage}`
}

/** Two columns, the second wrapped to 110 characters a line. */
export function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)) + 2)
  return rows.flatMap(([left, right]) => {
    const [first = '', ...rest] = wrap(right, 108 - width)
    const indent = ' '.repeat(width + 2)
    const head =
      left.length + 2 > width ? [`  ${left}`, `${indent}${first}`] : [`  ${left.padEnd(width)}${first}`]
    return [...head, ...rest.map(line => `${indent}${line}`)]
  })
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** A plain table of text, each column as wide as its widest cell; numbers are the caller's to format. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map(row => (row[at] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)]
}
