/**
 * Transports of the operator's own, as Skyring loads them: a class in a file or package, whose name in small letters is what
 * callbacks say, and whose `exec(method, uri, data, id, timers)` calls `timers.success(id)` or `timers.failure(id, error)`.
 *
 * It is the operator's code and runs in this process. What can go wrong: it says nothing. Then the call counts as failed
 * after the time that the timer gives a receiver.
 */
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { limits } from '../limits.js'
import type { Clock } from '../partitions/index.js'
import { givenData } from './definition.js'
import type { Transport } from './firings.js'
import type { Firing } from './timer.js'

/** What a custom transport is told to report to. */
interface Reports {
  success(id: string): void
  failure(id: string, error?: unknown): void
}

interface CustomTransport {
  exec(method: string, uri: string, data: unknown, id: string, timers: Reports): unknown
  shutdown?(done: () => void): void
}

export interface LoadedTransports {
  readonly transports: ReadonlyMap<string, Transport>
  /** Tells each to let go of what it holds; resolves after `msMax` at the latest. */
  shutdown(msMax: number): Promise<void>
}

const execParameters = 5

/**
 * Loads transports from paths (relative to `folder`) or package names. `taken` are names that are in use.
 * @throws Error, in one sentence, for what is not a transport or has a name that is in use
 */
export async function loadTransports(
  paths: readonly string[],
  options: { readonly folder: string; readonly taken: ReadonlySet<string>; readonly clock: Clock },
): Promise<LoadedTransports> {
  const transports = new Map<string, Transport>()
  const loaded: CustomTransport[] = []
  for (const path of paths) {
    const Class = await classAt(path, options.folder)
    const name = Class.name.toLowerCase()
    if (options.taken.has(name) || transports.has(name)) {
      throw new Error(`transport "${path}": there is a transport "${name}" already`)
    }
    const transport = new Class({})
    if (typeof transport.exec !== 'function' || transport.exec.length !== execParameters) {
      throw new Error(`transport "${path}": its class needs exec(method, uri, data, id, timers)`)
    }
    loaded.push(transport)
    transports.set(name, transportOf(transport, options.clock))
  }
  return {
    transports,
    async shutdown(msMax) {
      const ended = loaded.map(transport => new Promise<void>(done => shutDown(transport, done)))
      const late = new Promise<void>(done => options.clock.setTimer(msMax, done))
      await Promise.race([Promise.all(ended), late])
    },
  }
}

async function classAt(path: string, folder: string): Promise<new (options: object) => CustomTransport> {
  const isFile = path.startsWith('.') || path.startsWith('/')
  let module: { default?: unknown }
  try {
    const from = createRequire(pathToFileURL(resolve(folder, 'x.js')))
    const found = from.resolve(isFile ? resolve(folder, path) : path)
    module = (await import(pathToFileURL(found).href)) as { default?: unknown }
  } catch (error) {
    const words = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw new Error(`transport "${path}" cannot be loaded: ${words}`, { cause: error })
  }
  const Class = module.default
  if (typeof Class !== 'function' || Class.name === '') {
    throw new Error(`transport "${path}": it must export a class, whose name is the transport's`)
  }
  return Class as new (
    options: object,
  ) => CustomTransport
}

function shutDown(transport: CustomTransport, done: () => void): void {
  try {
    if (transport.shutdown) transport.shutdown(done)
    else done()
  } catch {
    done()
  }
}

function transportOf(transport: CustomTransport, clock: Clock): Transport {
  const call = ({ timer }: Firing): Promise<void> =>
    new Promise<void>((taken, failed) => {
      const { callback, data, id, responseMs = limits.timerResponseMs } = timer
      const late = clock.setTimer(responseMs, () => failed(new Error('the transport has said nothing')))
      const reports: Reports = {
        success() {
          late.cancel()
          taken()
        },
        failure(_id, error) {
          late.cancel()
          failed(error instanceof Error ? error : new Error(String(error ?? 'the transport has failed')))
        },
      }
      try {
        const given = data && givenData(data)
        Promise.resolve(transport.exec(callback.method, callback.uri, given, id, reports)).catch(failed)
      } catch (error) {
        reports.failure(id, error)
      }
    })
  return { call, receiverOf: uri => uri }
}
