/**
 * A store that speaks as S3 does, from npm, on a port of this machine. It takes signatures for granted, so that a door
 * stands before it which does not: AWS Signature Version 4, as Amazon describes it, in links and in headers.
 */
import { createHash, createHmac } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as ask, createServer, type IncomingMessage, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.js'

interface S3rverOptions {
  address: string
  port: number
  silent: boolean
  directory: string
  vhostBuckets: boolean
  configureBuckets: { name: string; configs: string[] }[]
}

type S3rver = new (options: S3rverOptions) => { run(): Promise<unknown>; close(): Promise<void> }

export const s3Bucket = 'interval-files'
/** What the store takes for the right key and secret. */
export const s3Key = 'S3RVER'

export interface TestS3 {
  readonly address: string
  stop(): Promise<void>
}

/** Starts a store whose bucket takes files from one origin, as the README says. */
export async function startS3(origin: string): Promise<TestS3> {
  const Store = createRequire(import.meta.url)('s3rver') as S3rver
  const directory = mkdtempSync(join(tmpdir(), 'interval-s3-'))
  const storePort = await freePort()
  const cors = `<CORSConfiguration><CORSRule><AllowedOrigin>${origin}</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod><AllowedHeader>content-type</AllowedHeader></CORSRule></CORSConfiguration>`
  const store = new Store({
    address: '127.0.0.1',
    port: storePort,
    silent: true,
    directory,
    vhostBuckets: false,
    configureBuckets: [{ name: s3Bucket, configs: [cors] }],
  })
  await store.run()
  const port = await freePort()
  const front = door(storePort)
  await new Promise<void>(resolve => front.listen(port, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${port}`,
    async stop() {
      front.closeAllConnections()
      front.close()
      await store.close().catch(() => undefined)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Lets through what is signed, and questions of browsers whether they may. */
function door(storePort: number): Server {
  return createServer((request, response) => {
    if (request.method !== 'OPTIONS' && !isSigned(request)) {
      response.writeHead(403, { 'content-type': 'application/xml' })
      response.end('<Error><Code>SignatureDoesNotMatch</Code></Error>')
      return
    }
    const { headers, method, url } = request
    const onward = ask({ host: '127.0.0.1', port: storePort, method, path: url, headers }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
}

function isSigned(request: IncomingMessage): boolean {
  const { headers, method = '' } = request
  const url = new URL(request.url ?? '', 'http://store')
  const query = url.searchParams
  const inHeader = /Credential=([^,]+), *SignedHeaders=([^,]+), *Signature=(\w+)/.exec(
    headers.authorization ?? '',
  )
  const [, credential = '', names = '', signature = ''] = inHeader ?? [
    '',
    query.get('X-Amz-Credential') ?? '',
    query.get('X-Amz-SignedHeaders') ?? '',
    query.get('X-Amz-Signature') ?? '',
  ]
  const time = inHeader ? String(headers['x-amz-date']) : (query.get('X-Amz-Date') ?? '')
  if (!inHeader && endOf(time, Number(query.get('X-Amz-Expires'))) < Date.now()) return false
  query.delete('X-Amz-Signature')
  const canonicalQuery = [...query]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&')
  const signed = names.split(';').map(name => `${name}:${String(headers[name] ?? '').trim()}\n`)
  const payload = inHeader ? String(headers['x-amz-content-sha256']) : 'UNSIGNED-PAYLOAD'
  const canonical = [method, url.pathname, canonicalQuery, signed.join(''), names, payload].join('\n')
  const [keyId, ...scope] = credential.split('/')
  const digest = createHash('sha256').update(canonical).digest('hex')
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), digest].join('\n')
  let key: Buffer = Buffer.from(`AWS4${s3Key}`)
  for (const part of scope) key = createHmac('sha256', key).update(part).digest()
  return keyId === s3Key && createHmac('sha256', key).update(text).digest('hex') === signature
}

/** `20261121T222557Z` and so many seconds, in ms since 1970. */
function endOf(time: string, seconds: number): number {
  const iso = time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  return Date.parse(iso) + seconds * 1_000
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    letter => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
