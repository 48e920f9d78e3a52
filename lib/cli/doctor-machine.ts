/** Checks of this machine: settings, secrets, ports, disk, descriptors, and whether the seeds can be reached. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { type Config, errorCode, type LoadedConfig, type LockHolder } from '../config/index.js'
import { limits } from '../limits.js'

export interface Check {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly text: string
  /** What to do. */
  readonly advice?: string
}

const megabyte = 1_048_576
/** Below this a node would soon have to refuse writes. */
const freeBytesMin = 200 * megabyte
const freeBytesGood = 2_048 * megabyte
/** A flush slower than this is felt in every answer. */
const flushMsGood = 20
const connectMsMax = 2_000
/** Descriptors beside the sockets: files of LevelDB, the database, the log. */
const otherDescriptors = 1_200

export function checkSettings({ config, origins, notices }: LoadedConfig): Check[] {
  const given = Object.values(origins).filter(origin => origin !== null && origin.source !== 'default').length
  const checks: Check[] = [{ name: 'configuration', status: 'ok', text: `valid, ${given} set` }]
  for (const notice of notices) checks.push({ name: 'configuration', status: 'warn', text: notice })
  if (config.storage.backend === 'memdown') {
    checks.push({
      name: 'configuration',
      status: 'warn',
      text: 'storage:backend = memdown forgets everything when the process ends',
      advice: 'use leveldown unless this is a test',
    })
  }
  if (!config.storage.sync && config.storage.backend === 'leveldown') {
    checks.push({
      name: 'configuration',
      status: 'warn',
      text: 'storage:sync = false may lose acknowledged work in a power failure',
    })
  }
  if (config.app.url === null && !isLoopback(config.host)) {
    checks.push({
      name: 'configuration',
      status: 'warn',
      text: `app:url is unset while ${config.host} is reachable from elsewhere: cookies are not Secure`,
      advice: 'set APP_URL=https://… behind TLS',
    })
  }
  return checks
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

export function checkSecrets(config: Config): Check[] {
  const checks: Check[] = []
  for (const [name, secret] of Object.entries(config.secrets) as [string, Config['secrets']['server']][]) {
    if (secret !== null && secret.reveal().length < 16) {
      checks.push({
        name: 'secrets',
        status: 'warn',
        text: `secrets:${name} is shorter than 16 characters`,
        advice: 'use 32 random bytes',
      })
    }
  }
  const file = join(config.storage.path, 'secrets.json')
  const found = statSync(file, { throwIfNoEntry: false })
  if (found !== undefined && process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    checks.push({
      name: 'secrets',
      status: 'fail',
      text: `${file} can be read by others`,
      advice: `chmod 600 ${file}`,
    })
  }
  if (checks.length > 0) return checks
  const given = Object.values(config.secrets).filter(secret => secret !== null).length
  const rest = found === undefined ? 'made at the first start' : `kept in ${file}`
  return [
    { name: 'secrets', status: 'ok', text: given === 3 ? 'all given' : `${given} given, the others ${rest}` },
  ]
}

/** A taken port is fine when it is our own running node that took it. */
export async function checkPorts(config: Config, running: LockHolder | null): Promise<Check[]> {
  const channelHost = config.channel.host ?? config.host
  const ports = [
    ['port', config.host, config.port],
    ['channel:port', channelHost, config.channel.port],
    ['forward:port', channelHost, config.forward.port],
  ] as const
  return await Promise.all(
    ports.map(async ([name, host, port]): Promise<Check> => {
      if (port === 0) return { name, status: 'ok', text: 'takes a free one' }
      const code = await tryListen(host, port)
      if (code === null) return { name, status: 'ok', text: `${host}:${port} is free` }
      if (code === 'EADDRINUSE' && running?.command === 'run') {
        return {
          name,
          status: 'ok',
          text: `${host}:${port} is in use; a node runs here (pid ${running.pid})`,
        }
      }
      const advice: Readonly<Record<string, string>> = {
        EADDRINUSE: `end the program that has it, or give another --${name}`,
        EACCES: 'ports under 1024 need a permission; give a higher one',
        EADDRNOTAVAIL: 'this machine does not have that address',
        ENOTFOUND: 'that name does not resolve',
      }
      return {
        name,
        status: 'fail',
        text: `${host}:${port} cannot be used (${code})`,
        ...(advice[code] === undefined ? {} : { advice: advice[code] }),
      }
    }),
  )
}

function tryListen(host: string, port: number): Promise<string | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', error => resolve(errorCode(error)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

export async function checkDisk(config: Config, running: LockHolder | null): Promise<Check[]> {
  const path = config.storage.path
  const folder = nearestFolder(path)
  const checks: Check[] = []
  try {
    const { bavail, bsize } = statfsSync(folder)
    const freeBytes = bavail * bsize
    const text = `${Math.round(freeBytes / megabyte).toLocaleString('en')} MB free for ${path}`
    if (freeBytes < freeBytesMin) {
      checks.push({ name: 'disk', status: 'fail', text, advice: 'make room, or give another --storage:path' })
    } else checks.push({ name: 'disk', status: freeBytes < freeBytesGood ? 'warn' : 'ok', text })
    const flushMs = measureFlush(folder)
    checks.push({
      name: 'disk',
      status: flushMs > flushMsGood ? 'warn' : 'ok',
      text: `writable, a flush takes ${flushMs.toFixed(1)} ms`,
      ...(flushMs > flushMsGood ? { advice: 'every answer waits for a flush: use a faster disk' } : {}),
    })
  } catch (error) {
    checks.push({
      name: 'disk',
      status: 'fail',
      text: `${folder} cannot be written (${errorCode(error)})`,
      advice: 'give this user the right to, or another --storage:path',
    })
  }
  if (running !== null) {
    const where = running.address === null ? '' : ` at ${running.address}`
    checks.push({
      name: 'data directory',
      status: 'ok',
      text: `in use by \`${running.command}\`${where} (pid ${running.pid}, since ${running.since})`,
    })
  } else {
    checks.push({
      name: 'data directory',
      status: 'ok',
      text: existsSync(path) ? `${path}, no node runs on it` : `${path} is made at the first start`,
    })
  }
  return checks
}

function nearestFolder(path: string): string {
  let folder = path
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

/** Ms that one small write takes until it is on the disk. */
function measureFlush(folder: string): number {
  const file = join(folder, `.interval-doctor-${process.pid}`)
  const descriptor = openSync(file, 'wx', 0o600)
  try {
    const started = process.hrtime.bigint()
    writeSync(descriptor, 'x')
    fsyncSync(descriptor)
    return Number(process.hrtime.bigint() - started) / 1e6
  } finally {
    closeSync(descriptor)
    rmSync(file, { force: true })
  }
}

export function checkDescriptors(): Check {
  const name = 'descriptors'
  const needed = limits.socketsPerNodeMax + otherDescriptors
  let limit: number | null = null
  try {
    const found = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    limit = found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found)
  } catch {}
  if (limit === null || Number.isNaN(limit)) {
    return { name, status: 'ok', text: 'this system does not tell how many files may be open' }
  }
  if (limit >= needed) return { name, status: 'ok', text: `${limit} files may be open` }
  return {
    name,
    status: 'warn',
    text: `${limit} files may be open; ${limits.socketsPerNodeMax} sockets need ${needed}`,
    advice: `ulimit -n ${needed}, or LimitNOFILE= in the service`,
  }
}

/** A seed that cannot be reached is no failure: somebody has to be the first. */
export async function checkPeers(config: Config): Promise<Check[]> {
  if (config.seeds.length === 0)
    return [{ name: 'peers', status: 'ok', text: 'no seeds: this node runs alone' }]
  return await Promise.all(
    config.seeds.map(async (seed): Promise<Check> => {
      const code = await tryConnect(seed)
      return code === null
        ? { name: 'peers', status: 'ok', text: `${seed} answers` }
        : {
            name: 'peers',
            status: 'warn',
            text: `${seed} does not answer (${code})`,
            advice: 'start it, or check its address and the firewall',
          }
    }),
  )
}

function tryConnect(seed: string): Promise<string | null> {
  const at = seed.lastIndexOf(':')
  const host = seed.slice(0, at).replace(/^\[|\]$/g, '')
  return new Promise(resolve => {
    const socket = createConnection({ host, port: Number(seed.slice(at + 1)), timeout: connectMsMax })
    const finish = (code: string | null): void => {
      socket.destroy()
      resolve(code)
    }
    socket.once('connect', () => finish(null))
    socket.once('timeout', () => finish('no answer within 2 s'))
    socket.once('error', error => finish(errorCode(error)))
  })
}
