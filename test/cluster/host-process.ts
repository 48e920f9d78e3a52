/** Starts hosts in processes of their own and counts what they report. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { eventuallyTrue } from '../support/eventually.js'
import type { SdkVersionName } from '../support/sdk-host.js'

/** Something an action got to see. */
export interface HostNote {
  /** Which run, as given in its parameters. */
  readonly run: string
  readonly what: string
  readonly value: unknown
}

const entryOf = (name: string): string => fileURLToPath(new URL(`${name}.js`, import.meta.url))

export class HostProcess {
  readonly notes: HostNote[] = []
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', note => this.notes.push(note as HostNote))
  }

  /** Starts a host whose actions are `PREFIX_steps` and `PREFIX_chatty`; resolves once it is connected. */
  static async start(options: {
    version: SdkVersionName
    endpoint: string
    apiKey: string
    prefix: string
    /** Which host: the one with `steps` and `chatty`, or the one with `steady`. */
    kind?: 'sample-host' | 'steady-host'
  }): Promise<HostProcess> {
    const { version, endpoint, apiKey, prefix, kind = 'sample-host' } = options
    // SDKs are talkative; with TEST_DEBUG they are heard.
    const words = process.env.TEST_DEBUG ? 'inherit' : 'ignore'
    const child = fork(entryOf(kind), [version, endpoint, apiKey, prefix], {
      stdio: ['ignore', words, words, 'ipc'],
    })
    const host = new HostProcess(child)
    await eventuallyTrue('the host listens', () => host.count('', 'listening') > 0, 60_000)
    return host
  }

  count(run: string, what: string): number {
    return this.notes.filter(note => note.run === run && note.what === what).length
  }

  /** What was noted of this kind in this run, oldest first. */
  values(run: string, what: string): unknown[] {
    return this.notes.filter(note => note.run === run && note.what === what).map(note => note.value)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
