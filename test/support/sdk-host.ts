/**
 * Hosts built with the real SDKs from npm, one sample host for all versions. The SDKs differ in how they are told what
 * they serve; what a test observes of its host is the same.
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const sdkVersions = ['0.21.0', '0.38.0', '1.4.0', '2.0.0'] as const
export type SdkVersionName = (typeof sdkVersions)[number]

const packages: Record<SdkVersionName, string> = {
  '0.21.0': 'sdk-0-21',
  '0.38.0': 'sdk-0-38',
  '1.4.0': 'sdk-1-4',
  '2.0.0': '@interval/sdk',
}

/** The part of an action's `io` and `ctx` that tests use; alike in all versions. */
export interface TestIo {
  input: {
    text(label: string, props?: object): TestPromise<string>
    number(label: string, props?: object): TestPromise<number>
    boolean(label: string, props?: object): TestPromise<boolean>
  }
  display: {
    heading(label: string, props?: object): Promise<unknown>
    markdown(label: string): Promise<unknown>
    table(label: string, props: object): Promise<unknown>
  }
  confirm(label: string, props?: object): Promise<boolean>
  confirmIdentity(label: string, props?: object): Promise<boolean>
  group(items: unknown[]): TestPromise<unknown[]>
}

export interface TestPromise<Value> extends Promise<Value> {
  validate(check: (value: Value) => unknown): TestPromise<Value>
  optional(): TestPromise<Value | undefined>
}

export interface TestContext {
  user: { email: string; role?: string; teams?: string[] }
  params: Record<string, unknown>
  environment: string
  action: { slug: string; url: string }
  log(...words: unknown[]): Promise<void>
  loading: { start(options: string | object): Promise<void>; completeOne(): Promise<void> }
  redirect(target: object): Promise<void>
  notify(options: object): Promise<void>
}

export type Handler = (io: TestIo, ctx: TestContext) => Promise<unknown>

export interface TestHost {
  listen(): Promise<void>
  close(): void
  readonly isConnected: boolean
}

export interface TestHostOptions {
  readonly endpoint: string
  readonly apiKey: string
  readonly actions: Record<string, Handler>
  /** Slug → layout maker; not in 0.21.0. */
  readonly pages?: Record<string, (display: TestIo['display']) => Promise<object>>
  readonly backgroundable?: readonly string[]
  readonly retryIntervalMs?: number
}

interface SdkModule {
  // The constructors of four versions have nothing in common that a type could say.
  default: new (
    config: object,
  ) => SdkInterval
  Action?: new (config: object) => object
  Page?: new (config: object) => object
  Layout?: { Basic?: new (config: object) => object } & (new (config: object) => object)
  io: TestIo
}

interface SdkInterval {
  listen(): Promise<void>
  immediatelyClose?(): void
  close?(): void
  isConnected: boolean
}

/** Makes a host of one SDK version; call `listen` to connect it. */
export function sdkHost(version: SdkVersionName, options: TestHostOptions): TestHost {
  const sdk = require(packages[version]) as SdkModule
  const common = {
    apiKey: options.apiKey,
    endpoint: options.endpoint,
    // What SDKs have to say is heard with TEST_DEBUG.
    logLevel: process.env.TEST_DEBUG ? 'debug' : 'quiet',
    // Shorter than the default of 3 s. An SDK whose connection drops after this time, but before its first answer on it,
    // never reconnects.
    retryIntervalMs: options.retryIntervalMs ?? 1_500,
  }
  const interval =
    version === '0.21.0'
      ? new sdk.default({ ...common, actions: actionsOf(options) })
      : new sdk.default({ ...common, routes: routesOf(sdk, options) })
  return {
    listen: () => interval.listen(),
    close() {
      if (interval.immediatelyClose) interval.immediatelyClose()
      else interval.close?.()
    },
    get isConnected() {
      return interval.isConnected
    },
  }
}

function actionsOf(options: TestHostOptions): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options.actions).map(([slug, handler]) => [
      slug,
      options.backgroundable?.includes(slug) ? { handler, backgroundable: true } : handler,
    ]),
  )
}

function routesOf(sdk: SdkModule, options: TestHostOptions): Record<string, unknown> {
  const { Action, Page, Layout } = sdk
  const routes: Record<string, unknown> = {}
  for (const [slug, handler] of Object.entries(options.actions)) {
    const config = { handler, backgroundable: options.backgroundable?.includes(slug) ?? false }
    routes[slug] = Action ? new Action(config) : config
  }
  for (const [slug, make] of Object.entries(options.pages ?? {})) {
    if (!Page || !Layout) continue
    const LayoutClass = Layout.Basic ?? Layout
    routes[slug] = new Page({
      name: slug,
      handler: async (display: TestIo['display']) => new LayoutClass(await make(display)),
    })
  }
  return routes
}
