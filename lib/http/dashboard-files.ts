/**
 * The files of the dashboard, held in memory: a few megabytes. Only what was found in the folder can be asked for, so
 * no path of a request ever reaches the file system.
 *
 * What can go wrong: the dashboard is built again, or only now, while the node runs. A miss looks again, at most once
 * a second.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { extname, join, relative, sep } from 'node:path'
import { pageHeaders } from './headers.js'
import type { Reply } from './reply.js'

const bytesMax = 67_108_864
const lookAgainMs = 1_000

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.ico': 'image/x-icon',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
  '.woff': 'font/woff',
  '.ttf': 'font/ttf',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
}

const encodings = [
  { name: 'br', extension: '.br' },
  { name: 'gzip', extension: '.gz' },
] as const

interface File {
  readonly body: Buffer
  readonly etag: string
}

/** Pages that programs ask for too, which take whatever there is: to see whether something is here. */
const entrances = /^\/($|login$|dashboard(\/|$))/

export interface DashboardFiles {
  /** The reply to a GET for one of the files, or for a page; null when it is neither. */
  reply(request: IncomingMessage, path: string): Reply | null
}

export function createDashboardFiles(options: {
  directory: string
  secure: boolean
  nowMs: () => number
}): DashboardFiles {
  let files = new Map<string, File>()
  let lookedAtMs = Number.NEGATIVE_INFINITY
  let stamp = ''

  const look = (): void => {
    const nowMs = options.nowMs()
    if (nowMs - lookedAtMs < lookAgainMs) return
    lookedAtMs = nowMs
    const index = join(options.directory, 'index.html')
    if (!existsSync(index)) return
    const { mtimeMs, size } = statSync(index)
    if (stamp === `${mtimeMs} ${size}`) return
    stamp = `${mtimeMs} ${size}`
    files = readFiles(options.directory)
  }

  const serve = (request: IncomingMessage, path: string): Reply | null => {
    const file = files.get(path)
    const type = types[extname(path)]
    if (!file || type === undefined) return null
    const accepted = String(request.headers['accept-encoding'] ?? '')
    const encoding = encodings.find(
      ({ name, extension }) => files.has(path + extension) && acceptsEncoding(accepted, name),
    )
    const chosen = encoding ? (files.get(path + encoding.extension) ?? file) : file
    const hashed = /^\/assets\/.*[-.][\w-]{8,}\.\w+$/.test(path)
    const headers = {
      ...(type.startsWith('text/html') && pageHeaders(options.secure)),
      'content-type': type,
      'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
      etag: chosen.etag,
      vary: 'accept-encoding',
      ...(encoding && chosen !== file && { 'content-encoding': encoding.name }),
    }
    const known = String(request.headers['if-none-match'] ?? '').split(/\s*,\s*/)
    if (known.includes(chosen.etag)) return { status: 304, headers }
    return { status: 200, headers, body: chosen.body }
  }

  return {
    reply(request, path) {
      const { accept = '*/*' } = request.headers
      const page = /\btext\/html\b/.test(accept) || (accept.includes('*/*') && entrances.test(path))
      if (!files.has(path) || path.endsWith('.html')) look()
      const found = serve(request, path) ?? (page ? serve(request, '/index.html') : null)
      return found
    },
  }
}

function acceptsEncoding(header: string, name: string): boolean {
  return header.split(',').some(part => {
    const [token, quality] = part.trim().split(/\s*;\s*/)
    return token?.toLowerCase() === name && !/^q=0(\.0*)?$/.test(quality ?? '')
  })
}

function readFiles(directory: string): Map<string, File> {
  const files = new Map<string, File>()
  let bytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const body = readFileSync(path)
    bytes += body.length
    if (bytes > bytesMax) throw new Error(`${directory} is larger than ${bytesMax} bytes`)
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    files.set(`/${relative(directory, path).split(sep).join('/')}`, { body, etag })
  }
  return files
}
