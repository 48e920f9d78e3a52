/**
 * The demo: an account to sign in with and a sample host, so that the first start ends with something to click on.
 * The account is made only where there is none; its password and key lie in the data directory, readable by its owner
 * alone, so that later starts can use and show them again.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { newSecret } from '../ids.js'
import type { Log } from '../log.js'

/** Runs one operation of `interval-server admin`. */
export type Administrator = (operation: string, argument: unknown) => Promise<unknown>

interface DemoFile {
  readonly email: string
  readonly password: string
  readonly key: string
}

const email = 'demo@example.com'

/** The demo's account; made when nobody has an account yet, otherwise null unless it was made here before. */
export async function demoAccount(
  folder: string,
  admin: Administrator,
  isEmpty: () => Promise<boolean>,
): Promise<DemoFile | null> {
  const path = join(folder, 'demo.json')
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as DemoFile
  if (!(await isEmpty())) return null
  const password = newSecret().slice(0, 16)
  const user = (await admin('createUser', {
    email,
    firstName: 'Demo',
    lastName: 'Person',
    password,
    createOrganization: true,
  })) as { id: string; ownedOrganizations: { id: string; environments: { id: string; slug: string }[] }[] }
  const organization = user.ownedOrganizations[0]
  const environment = organization?.environments.find(candidate => candidate.slug === 'production')
  if (!organization || !environment) throw new Error('the demo organization has no production environment')
  const { key } = (await admin('createApiKey', {
    kind: 'PRODUCTION',
    organizationId: organization.id,
    environmentId: environment.id,
    userId: user.id,
    label: 'Demo host',
  })) as { key: string }
  const account: DemoFile = { email, password, key }
  writeFileSync(path, `${JSON.stringify(account, null, 2)}\n`, { mode: 0o600 })
  chmodSync(path, 0o600)
  return account
}

export interface DemoHost {
  stop(): void
}

/** How long the first connection of the demo host is waited for, in ms. */
const connectMsMax = 20_000

/** Starts the sample host in a process of its own; it is started again when it ends. Resolves once it is connected. */
export function startDemoHost(options: { endpoint: string; key: string; log: Log }): Promise<DemoHost> {
  let child: ChildProcess | null = null
  let stopped = false
  let restarts = 0
  const start = (connected: () => void): void => {
    child = spawn(process.execPath, [fileURLToPath(new URL('./demo-host.js', import.meta.url))], {
      env: { PATH: process.env.PATH ?? '', DEMO_ENDPOINT: options.endpoint, DEMO_KEY: options.key },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdout?.once('data', connected)
    child.stdin?.on('error', () => undefined)
    child.on('error', error => options.log.error('demo.not-started', { error }))
    child.on('exit', code => {
      if (stopped || restarts >= 10) return
      restarts += 1
      options.log.warn('demo.ended', { code })
      setTimeout(() => !stopped && start(connected), 1_000 * restarts).unref()
    })
  }
  return new Promise((resolve, reject) => {
    const host: DemoHost = {
      stop() {
        stopped = true
        child?.kill()
      },
    }
    const late = setTimeout(() => {
      host.stop()
      reject(new Error('the demo host did not connect'))
    }, connectMsMax)
    start(() => {
      clearTimeout(late)
      resolve(host)
    })
  })
}
