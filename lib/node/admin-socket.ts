/**
 * How the `admin` command speaks to a running node: a unix socket in the data directory, mode 0600, one request and one
 * answer for each connection, each one line of JSON.
 *
 *     → {"operation":"findUser","argument":{"email":"a@example.com"}}
 *     ← {"result":{…}}   or   ← {"error":{"code":"conflict","message":"…"}}
 *
 * Whoever may open the socket is this user (or root), so there is no further authentication; it is never reachable over
 * the network. What can go wrong: a client that sends too much, too slowly or nothing. Lines, connections and waiting
 * are bounded.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { errorCode } from '../config/index.js'
import { AppError, type ErrorCode, errorBody, errorKinds } from '../errors.js'

/** Bytes of one request or answer: an organization with some ten thousand members fits. */
export const adminMessageBytesMax = 8_388_608
const adminConnectionsMax = 16
/** Ms from connecting to the whole request. */
const requestMsMax = 5_000
/** Ms an operation may take. */
const answerMsMax = 60_000

/** Runs one operation. What it rejects with reaches the caller as `errorBody` says. */
export type AdminHandler = (operation: string, argument: unknown) => Promise<unknown>

export interface AdminServer {
  close(): Promise<void>
}

/**
 * Serves admin requests on `path`. A socket file left behind by a killed process is replaced, so the caller must hold
 * the lock of the data directory.
 */
export async function listenAdmin(path: string, handler: AdminHandler): Promise<AdminServer> {
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    void serve(socket, handler)
  })
  server.maxConnections = adminConnectionsMax
  rmSync(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  chmodSync(path, 0o600)
  return {
    close() {
      for (const socket of open) socket.destroy()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}

async function serve(socket: Socket, handler: AdminHandler): Promise<void> {
  let answer: unknown
  try {
    const line = await readLine(socket, requestMsMax)
    const request = parseJson(line)
    if (!isRequest(request)) throw new AppError('bad-request', 'The request must name an operation.')
    const result = await handler(request.operation, request.argument)
    answer = { result: result ?? null }
  } catch (error) {
    answer = { error: errorBody(error) }
  }
  if (socket.destroyed) return
  const text = JSON.stringify(answer)
  const isTooLarge = Buffer.byteLength(text) >= adminMessageBytesMax
  socket.end(
    isTooLarge
      ? `${JSON.stringify({ error: errorBody(new AppError('too-large', 'The result is too large.')) })}\n`
      : `${text}\n`,
  )
}

function isRequest(value: unknown): value is { operation: string; argument: unknown } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'operation' in value &&
    typeof value.operation === 'string' &&
    value.operation.length <= 100
  )
}

/**
 * Asks the node behind the socket. Resolves with the result; rejects with the node's error, or with `unavailable` when
 * nobody listens there (`isNobodyThere` tells).
 */
export async function askAdmin(path: string, operation: string, argument: unknown): Promise<unknown> {
  const request = `${JSON.stringify({ operation, argument })}\n`
  if (Buffer.byteLength(request) > adminMessageBytesMax) throw new AppError('too-large')
  const socket = createConnection(path)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
  } catch (error) {
    socket.destroy()
    throw new AppError('unavailable', `No node answers at ${path} (${errorCode(error)}).`, { cause: error })
  }
  try {
    socket.write(request)
    const answer = parseJson(await readLine(socket, answerMsMax))
    if (typeof answer === 'object' && answer !== null) {
      if ('result' in answer) return answer.result
      if ('error' in answer) throw errorOf(answer.error)
    }
    throw new AppError('unavailable', 'The node gave an answer that this version does not understand.')
  } finally {
    socket.destroy()
  }
}

/** True when there is no node to ask, as opposed to a node that refused. */
export function isNobodyThere(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code === 'unavailable' &&
    ['ENOENT', 'ECONNREFUSED'].includes(errorCode(error.cause))
  )
}

function errorOf(body: unknown): AppError {
  const { code, message } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const known = typeof code === 'string' && Object.hasOwn(errorKinds, code) ? (code as ErrorCode) : 'internal'
  return new AppError(known, typeof message === 'string' ? message : undefined)
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw new AppError('bad-request', 'The message is not valid JSON.')
  }
}

/** The first line that comes, without its end. Rejects when it is too long, too late, or the socket closes before. */
function readLine(socket: Socket, msMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let bytes = 0
    const finish = (error: AppError | null): void => {
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('close', onClose)
      socket.off('end', onClose)
      if (error === null) resolve(Buffer.concat(parts).toString('utf8'))
      else reject(error)
    }
    const onData = (part: Buffer): void => {
      const end = part.indexOf(10)
      parts.push(end === -1 ? part : part.subarray(0, end))
      bytes += part.length
      if (bytes > adminMessageBytesMax) finish(new AppError('too-large'))
      else if (end !== -1) finish(null)
    }
    const onClose = (): void => finish(new AppError('unavailable', 'The connection ended before the answer.'))
    const timer = setTimeout(() => finish(new AppError('timeout')), msMax)
    socket.on('data', onData)
    socket.on('close', onClose)
    socket.on('end', onClose)
    socket.on('error', onClose)
  })
}
