/** JSON bodies, read within bounds: of size, of depth and (by the server's request timeout) of time. */
import type { IncomingMessage } from 'node:http'
import { AppError } from '../errors.js'

/** True when the request says that a body follows. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

export function isJson(request: IncomingMessage): boolean {
  // A form of another site can send neither.
  return /^application\/(scim\+)?json\s*(;|$)/i.test(request.headers['content-type'] ?? '')
}

/** The parsed body; `undefined` when there is none. Rejects with `too-large` or `bad-request`. */
export async function readJson(
  request: IncomingMessage,
  limits: { bytesMax: number; depthMax: number },
): Promise<unknown> {
  if (!hasBody(request)) return undefined
  if (!isJson(request)) throw new AppError('bad-request', 'Send JSON, with content-type application/json.')
  if (Number(request.headers['content-length'] ?? 0) > limits.bytesMax) throw new AppError('too-large')
  const text = await readText(request, limits.bytesMax)
  if (text === '') return undefined
  if (depthOf(text) > limits.depthMax) throw new AppError('bad-request', 'The JSON is nested too deeply.')
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new AppError('bad-request', 'The body is not valid JSON.')
  }
}

/** The whole body. Rejects with `too-large`. */
export function readText(request: IncomingMessage, bytesMax: number): Promise<string> {
  return new Promise((fulfil, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > bytesMax) {
        request.pause()
        request.removeAllListeners('data')
        reject(new AppError('too-large'))
        return
      }
      chunks.push(chunk)
    })
    request.on('end', () => fulfil(Buffer.concat(chunks).toString('utf8')))
    request.on('error', () => reject(new AppError('bad-request', 'The request was cut off.')))
    request.on('close', () => reject(new AppError('bad-request', 'The request was cut off.')))
  })
}

/** Deepest nesting of arrays and objects, without parsing: parsing is what the depth could hurt. */
export function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charCodeAt(index)
    if (inString) {
      if (character === 0x5c) index += 1
      else if (character === 0x22) inString = false
    } else if (character === 0x22) inString = true
    else if (character === 0x7b || character === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (character === 0x7d || character === 0x5d) depth -= 1
  }
  return deepest
}
