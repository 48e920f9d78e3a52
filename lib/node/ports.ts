/**
 * Ports are tried before anything else is begun, so that a mistyped one is said at once and leaves nothing behind. Trying
 * takes the port and gives it back: whoever takes it in between is met again when the node really listens.
 */
import { createServer } from 'node:net'
import { AppError } from '../errors.js'

/** Rejects with one sentence that names the setting when nobody can listen there now. Port 0 is always free. */
export async function refuseTakenPort(setting: string, host: string, port: number): Promise<void> {
  if (port === 0) return
  await new Promise<void>((resolve, reject) => {
    const server = createServer()
    server.once('error', error => reject(cannotListen(setting, host, port, error)))
    server.listen({ host, port }, () => server.close(() => resolve()))
  })
}

/** One sentence: which setting, where, why, and what to do. */
export function cannotListen(
  setting: string,
  host: string,
  port: number,
  error: Error & { code?: string },
): AppError {
  const { code } = error
  if (code === 'EADDRINUSE') {
    return new AppError(
      'conflict',
      `Port ${port} on ${host} is in use. End the program that has it, or choose another one with --${setting}.`,
    )
  }
  if (code === 'EACCES') {
    return new AppError(
      'forbidden',
      `Port ${port} may not be opened by this user. Choose one above 1023 with --${setting}.`,
    )
  }
  const reasons: Readonly<Record<string, string>> = {
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'that name is no address',
  }
  const hostSetting = setting === 'port' ? 'host' : 'channel:host'
  return new AppError(
    'unavailable',
    `Cannot listen on ${host}:${port}: ${reasons[code ?? ''] ?? code ?? error.message}. Correct --${hostSetting} or --${setting}.`,
  )
}
