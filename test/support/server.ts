/**
 * A real node in a process of its own, for tests that kill it: started from the built entry on a free port with its
 * data in a temporary folder, administered through its local socket.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adminSocketPathFor } from '../../lib/config/index.js'
import { askAdmin } from '../../lib/node/admin-socket.js'
import { packageRoot } from '../../lib/root.js'
import { placeDatabase, wantedPostgres } from './database.js'
import { eventually } from './eventually.js'
import { freePort } from './ports.js'

export interface ServerOptions {
  /** It makes its database by itself, as at a first start; that takes seconds. */
  readonly isFirstStart?: boolean
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

/** One organization with a person, and keys for both kinds of hosts. */
export interface Seeded {
  readonly organization: { id: string; slug: string; environments: { id: string; slug: string }[] }
  readonly user: { id: string; email: string }
  readonly password: string
  readonly liveKey: string
  readonly developmentKey: string
}

export class TestServer {
  readonly port: number
  readonly folder: string
  #child: ChildProcess | null = null
  #output = ''
  readonly #options: ServerOptions
  #environment: Readonly<Record<string, string>> = {}
  /** What ends with it. */
  readonly #endings: (() => unknown)[] = []

  private constructor(port: number, options: ServerOptions) {
    this.port = port
    this.#options = options
    this.folder = mkdtempSync(join(tmpdir(), 'interval-test-'))
  }

  /** Starts a node and resolves once it is ready. */
  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const server = new TestServer(await freePort(), options)
    const { environment, isFirstStart } = options
    if (!isFirstStart && environment?.DATABASE_URL === undefined) {
      const real = await wantedPostgres({ teardown: work => server.#endings.push(work) })
      if (real) server.#environment = { DATABASE_URL: real.url }
      else await placeDatabase(server.folder)
    }
    await server.run()
    return server
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get endpoint(): string {
    return `ws://127.0.0.1:${this.port}/websocket`
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('the server does not run')
    return pid
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Starts the process on the same port and data, with further variables and flags. */
  async run(environment: Readonly<Record<string, string>> = {}, more: readonly string[] = []): Promise<void> {
    this.#output = ''
    const flags = [
      '--port',
      String(this.port),
      '--storage:path',
      this.folder,
      ...(this.#options.flags ?? []),
      ...more,
    ]
    const child = spawn(join(packageRoot, 'bin/interval-server'), ['run', ...flags], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: this.folder,
        ...this.#environment,
        ...this.#options.environment,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const collect = (data: Buffer): void => {
      this.#output = (this.#output + data.toString()).slice(-200_000)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    await eventually(() => {
      if (this.isRunning && !this.#output.includes('Interval is ready'))
        throw new Error(`not ready yet:\n${this.#output}`)
    }, 60_000)
    if (!this.isRunning) throw new Error(`the server ended while starting:\n${this.#output}`)
  }

  /** Kills the process as `kill -9` does and waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || !this.isRunning) return
    const ended = new Promise<NodeJS.Signals | null>(resolve =>
      child.once('exit', (_code, by) => resolve(by)),
    )
    child.kill(signal)
    const by = await ended
    if (by !== null && by !== signal) throw new Error(`the server ended by ${by}:\n${this.#output}`)
  }

  /** Stops the process in its tracks, or lets it go on: it keeps its sockets and answers nothing. */
  freeze(isFrozen: boolean): void {
    process.kill(this.pid, isFrozen ? 'SIGSTOP' : 'SIGCONT')
  }

  /** Resolves when the process has ended by itself. */
  async ended(): Promise<void> {
    const child = this.#child
    if (!child || !this.isRunning) return
    await new Promise(resolve => child.once('exit', resolve))
  }

  admin<Result>(operation: string, argument: unknown): Promise<Result> {
    return askAdmin(adminSocketPathFor(this.folder), operation, argument) as Promise<Result>
  }

  /** Makes an organization with one administrator and a live and a development key. */
  async seed(name = 'Test Runner'): Promise<Seeded> {
    const password = 'a long enough password'
    const [firstName, lastName] = name.split(' ')
    const email = `${name.toLowerCase().replaceAll(' ', '.')}@example.com`
    const user = await this.admin<{ id: string; ownedOrganizations: Seeded['organization'][] }>(
      'createUser',
      {
        email,
        firstName,
        lastName,
        password,
        createOrganization: true,
      },
    )
    const organization = user.ownedOrganizations[0]
    if (!organization) throw new Error('no organization was made')
    const keyOf = async (kind: 'PRODUCTION' | 'DEVELOPMENT') => {
      const slug = kind.toLowerCase()
      const environmentId = organization.environments.find(environment => environment.slug === slug)?.id
      const argument = {
        kind,
        organizationId: organization.id,
        environmentId,
        userId: user.id,
        label: 'test',
      }
      return (await this.admin<{ key: string }>('createApiKey', argument)).key
    }
    return {
      organization,
      user: { id: user.id, email },
      password,
      liveKey: await keyOf('PRODUCTION'),
      developmentKey: await keyOf('DEVELOPMENT'),
    }
  }

  /** Signs in and returns the cookie to send. */
  async signIn(email: string, password: string): Promise<string> {
    const response = await fetch(`${this.address}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: this.address },
      body: JSON.stringify({ email, password }),
    })
    const cookie = response.headers.getSetCookie()[0]?.split(';')[0]
    if (!response.ok || !cookie)
      throw new Error(`sign-in failed: ${response.status} ${await response.text()}`)
    return cookie
  }

  async stop(): Promise<void> {
    await this.kill('SIGTERM')
    for (const end of this.#endings.splice(0)) await end()
    if (existsSync(this.folder)) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
