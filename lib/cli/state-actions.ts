/** What `state` can do, each with the lock of the data directory held and the store open. */
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { type DataDirectory, errorCode } from '../config/index.js'
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import {
  exportState,
  importState,
  listEntities,
  openState,
  type StateDirectory,
  showEntity,
  verify,
} from '../partitions/index.js'
import type { CommandIo } from './command.js'
import { describe } from './describe.js'

export interface StateActionContext {
  readonly directory: DataDirectory
  readonly words: readonly string[]
  readonly json: boolean
  readonly overwrite: boolean
  readonly io: CommandIo
}

interface StateAction {
  readonly usage: string
  readonly wordsMin: number
  readonly wordsMax: number
  readonly writes: boolean
  run(state: StateDirectory, context: StateActionContext): Promise<number>
}

const list: StateAction = {
  usage: '[PREFIX]',
  wordsMin: 0,
  wordsMax: 1,
  writes: false,
  async run(state, { words: [prefix = ''], json, io }) {
    let count = 0
    let damaged = 0
    for await (const entity of listEntities(state)) {
      if (!entity.key.startsWith(prefix)) continue
      count += 1
      if (entity.status === 'damaged') damaged += 1
      if (json) await write(io.output, `${JSON.stringify(entity)}\n`)
      else {
        const size = `${entity.records} records`.padStart(13)
        const bytes = `${entity.bytes} bytes`.padStart(16)
        const note = entity.reason === undefined ? '' : `  damaged: ${entity.reason}`
        await write(io.output, `${entity.key.padEnd(50)} ${size} ${bytes}${note}\n`)
      }
    }
    if (!json) io.print(`${count} in all${damaged === 0 ? '' : `, ${damaged} damaged`}`)
    return 0
  },
}

const show: StateAction = {
  usage: 'KEY',
  wordsMin: 1,
  wordsMax: 1,
  writes: false,
  async run(state, { words: [key = ''], json, io }) {
    // Anything with a colon may be looked for; what is not a key is not found.
    const details = key.includes(':') ? await showEntity(state, key as EntityKey) : undefined
    if (details === undefined) {
      throw new AppError(
        'not-found',
        `There is no ${key} here. \`interval-server state list\` shows what there is.`,
      )
    }
    io.print(JSON.stringify(details, null, json ? 0 : 2))
    return 0
  },
}

const verifyAll: StateAction = {
  usage: '',
  wordsMin: 0,
  wordsMax: 0,
  writes: false,
  async run(state, { json, io }) {
    const counts = { damage: 0, note: 0 }
    for await (const problem of verify(state)) {
      counts[problem.severity] += 1
      const line = json ? JSON.stringify(problem) : `${problem.severity}  ${problem.what}: ${problem.reason}`
      await write(io.output, `${line}\n`)
    }
    if (!json) {
      io.print(counts.damage === 0 ? 'nothing is damaged' : `${counts.damage} damaged`)
    }
    return counts.damage === 0 ? 0 : 1
  },
}

const exportAll: StateAction = {
  usage: 'FILE (- for standard output)',
  wordsMin: 1,
  wordsMax: 1,
  writes: false,
  async run(state, { words: [name = ''], io }) {
    let skipped = 0
    const lines = exportState(state, {
      onSkipped: entity => {
        skipped += 1
        io.complain(`left out ${entity.key}: ${entity.reason ?? 'damaged'}`)
      },
    })
    if (name === '-') {
      for await (const line of lines) await write(io.output, line)
    } else {
      const count = await writeFile(resolve(io.folder, name), lines)
      // The header and the trailer are lines too.
      io.print(
        `wrote ${count - 2} entities to ${name}${skipped === 0 ? '' : `, left out ${skipped} damaged`}`,
      )
    }
    return 0
  },
}

const importAll: StateAction = {
  usage: 'FILE',
  wordsMin: 1,
  wordsMax: 1,
  writes: true,
  async run(state, { words: [name = ''], overwrite, io }) {
    const file = resolve(io.folder, name)
    if (!existsSync(file)) throw new AppError('not-found', `There is no file ${file}.`)
    // Read twice: once to check everything, once to write it.
    const lines = () =>
      createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })
    const { imported, replaced } = await importState(state, lines, { overwrite })
    io.print(
      `imported ${imported} entities${replaced === 0 ? '' : `, of which ${replaced} replaced older ones`}`,
    )
    return 0
  },
}

export const stateActions: Readonly<Record<string, StateAction>> = {
  list,
  show,
  verify: verifyAll,
  export: exportAll,
  import: importAll,
}

/** Opens the store, runs the action and closes the store. */
export async function runStateAction(action: StateAction, context: StateActionContext): Promise<number> {
  const { directory, io } = context
  if (!action.writes && !existsSync(directory.entitiesPath)) {
    throw new AppError('not-found', `There is no live state in ${directory.path} yet: no node has run on it.`)
  }
  const state = await openState(directory.entitiesPath, {
    readOnly: !action.writes,
    onDamage: damage => io.complain(`damaged: ${damage.what} (${damage.reason})`),
  })
  try {
    return await action.run(state, context)
  } catch (error) {
    // What the tools reject with is meant for the person at the terminal.
    throw error instanceof AppError ? error : new AppError('invalid-value', describe(error), { cause: error })
  } finally {
    await state.close()
  }
}

/** Writes and waits while the reader is behind, so that an export never piles up in memory. */
function write(output: Writable, text: string): Promise<void> | undefined {
  if (output.write(text)) return undefined
  return new Promise(resolve => output.once('drain', resolve))
}

/** Writes lines to a new file, which appears complete or not at all. Resolves with the number of lines. */
async function writeFile(file: string, lines: AsyncIterable<string>): Promise<number> {
  if (existsSync(file)) throw new AppError('conflict', `${file} exists already.`)
  const draft = `${file}.part`
  const output = createWriteStream(draft, { mode: 0o600, flags: 'w', flush: true })
  let count = 0
  try {
    const failed = new Promise<never>((_, reject) => output.once('error', reject))
    failed.catch(() => {})
    for await (const line of lines) {
      await Promise.race([write(output, line), failed])
      count += 1
    }
    const ended = new Promise<void>(resolve => output.end(() => resolve()))
    await Promise.race([ended, failed])
    renameSync(draft, file)
    return count
  } catch (error) {
    output.destroy()
    rmSync(draft, { force: true })
    throw error instanceof AppError
      ? error
      : new AppError('unavailable', `${file} cannot be written (${errorCode(error)}).`, { cause: error })
  }
}
