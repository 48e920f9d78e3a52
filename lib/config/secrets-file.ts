/**
 * The secrets that nobody configured, made once and kept in the data directory. A secret that changed would sign
 * everybody out and make every key invalid, so a file that cannot be read is never replaced.
 */
import { readFileSync, statSync } from 'node:fs'
import { AppError } from '../errors.js'
import { newSecret } from '../ids.js'
import { Secret } from '../log.js'
import type { ConfiguredSecrets } from './config.js'
import type { Secrets } from './data-directory.js'
import { writeFileDurably } from './durable-file.js'
import { errorCode } from './sources.js'

/** Under the names of their variables, so that they can be copied to where a ring needs them. */
const names = { server: 'SECRET', nodes: 'WSS_API_SECRET', cookie: 'AUTH_COOKIE_SECRET' } as const

/** Configured secrets win; what is missing is read from the file, or made and written there. */
export function completeSecrets(file: string, configured: ConfiguredSecrets): Secrets {
  const needed = configured.server === null || configured.nodes === null || configured.cookie === null
  const kept = needed ? readSecrets(file) : {}
  const made: Record<string, string> = {}
  const complete = (which: keyof typeof names): Secret => {
    const given = configured[which]
    if (given !== null) return given
    const text = kept[names[which]] ?? newSecret()
    if (kept[names[which]] === undefined) made[names[which]] = text
    return new Secret(text)
  }
  const secrets = { server: complete('server'), nodes: complete('nodes'), cookie: complete('cookie') }
  if (Object.keys(made).length > 0) {
    writeFileDurably(file, `${JSON.stringify({ ...kept, ...made }, null, 2)}\n`, 0o600)
  }
  return secrets
}

function readSecrets(file: string): Readonly<Record<string, string>> {
  let text: string
  try {
    const mode = statSync(file).mode & 0o777
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new AppError(
        'forbidden',
        `${file} can be read by others (mode ${mode.toString(8)}). Mend it with: chmod 600 ${file}`,
      )
    }
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return {}
    throw error
  }
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    content = null
  }
  const isObject = typeof content === 'object' && content !== null && !Array.isArray(content)
  const entries = isObject ? Object.entries(content as object) : []
  if (!isObject || !entries.every(([, value]) => typeof value === 'string' && value.length >= 32)) {
    throw new AppError(
      'damaged',
      `${file} is damaged: it must be a JSON object of secrets. Restore it from a copy; without it, sessions and keys are lost.`,
    )
  }
  return Object.fromEntries(entries) as Record<string, string>
}
