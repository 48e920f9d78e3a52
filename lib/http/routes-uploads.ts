/**
 * Files over HTTP: a browser PUTs one to its link, a host GETs it from its own. Both links carry their right in them, so
 * nobody's session is looked at, and another site can do nothing here that its maker could not do without a browser.
 *
 * What somebody has sent is never a page of ours: `file-types.ts` says how it is called, and nothing in it may run.
 */
import type { IncomingMessage } from 'node:http'
import { AppError } from '../errors.js'
import type { Limits } from '../limits.js'
import { isUploadId, type Uploads, uploadsPath } from '../uploads/index.js'
import type { Context } from './context.js'
import { ok, type Reply } from './reply.js'
import type { HttpServer } from './server.js'

export type UploadHooks = Pick<Uploads, 'checkSend' | 'receive' | 'openFile'>

/** How long a file that was refused is still listened to, so that the browser hears why. */
const drainMsMax = 5_000
const fileHeaders = {
  'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'",
}

/** True for a request that may take longer than others, since it carries a file. */
export function isUpload({ method, url = '' }: IncomingMessage): boolean {
  return method === 'PUT' && url.startsWith(`${uploadsPath}/`)
}

export function addUploadRoutes(http: HttpServer, uploads: UploadHooks, limits: Limits): void {
  const open = { caller: 'open' } as const

  const signature = 'Of the link that was given for the file.'
  const sent = {
    callers: 'anybody',
    tag: 'Uploads',
    summary: 'Sends a file to a link that a window was given for it',
    query: { size: 'In bytes.', until: 'When the link ends, in ms.', signature },
    file: 'taken',
  } as const
  http.route('PUT', `${uploadsPath}/:id`, { ...open, api: sent }, async context => {
    try {
      const id = idOf(context)
      const size = known(context, () => uploads.checkSend(id, context.query))
      const { headers } = context.request
      if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== size) {
        throw new AppError('bad-request', 'The file has another size than was announced.')
      }
      await uploads.receive(id, size, incoming(context.request, limits))
      return ok({})
    } catch (error) {
      await drained(context.request, limits)
      throw error
    }
  })

  const read = {
    callers: 'anybody',
    tag: 'Uploads',
    summary: 'A file that was sent, as a host reads it',
    query: { signature },
    file: 'given',
  } as const
  http.route('GET', `${uploadsPath}/:id`, { ...open, api: read }, async (context): Promise<Reply> => {
    const id = idOf(context)
    const file = await known(context, () => uploads.openFile(id, context.query))
    if ('redirect' in file) return { status: 302, headers: { ...fileHeaders, location: file.redirect } }
    return {
      status: 200,
      headers: { ...fileHeaders, ...file.headers, 'content-length': String(file.size) },
      stream: file.bytes,
    }
  })
}

function idOf({ params }: Context): string {
  const { id = '' } = params
  if (!isUploadId(id)) throw new AppError('not-found')
  return id
}

/** Who comes with a link that is not ours is in the audit log. */
function known<Result>({ accounts, method, origin }: Context, check: () => Result): Result {
  const denied = (error: unknown): never => {
    if (error instanceof AppError && error.code === 'forbidden') {
      const details = { what: 'upload', method }
      accounts.audit({ name: 'access.denied', address: origin.address, details })
    }
    throw error
  }
  try {
    const result = check()
    return result instanceof Promise ? (result.catch(denied) as Result) : result
  } catch (error) {
    return denied(error)
  }
}

/** The body, given up when nothing of it comes for a while. */
async function* incoming(request: IncomingMessage, { uploadStalledMsMax }: Limits): AsyncGenerator<Buffer> {
  const stalled = setTimeout(() => request.destroy(), uploadStalledMsMax)
  try {
    for await (const piece of request) {
      stalled.refresh()
      yield piece as Buffer
      stalled.refresh()
    }
  } catch (error) {
    throw new AppError('bad-request', 'The file was cut off.', { cause: error })
  } finally {
    clearTimeout(stalled)
  }
}

/** Reads on without keeping anything: a browser that is still sending does not hear an answer before it has sent all. */
async function drained(request: IncomingMessage, { uploadBytesMax }: Limits): Promise<void> {
  if (request.complete || request.destroyed) return
  if (Number(request.headers['content-length'] ?? 0) > uploadBytesMax) return
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, drainMsMax)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    request.once('end', done).once('close', done).once('error', done)
    request.resume()
  })
}
