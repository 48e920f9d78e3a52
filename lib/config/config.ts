/**
 * The settings of one node, typed and frozen, and where each came from.
 *
 * Order, first wins: flags, environment, `.env`, the file given with `--conf`, conf/default.json. nconf merges them;
 * reading and checking is ours (sources.ts, values.ts), because a value has to be refused with its name, and because
 * nconf's own reader of flags ends the process by itself on `--help`.
 */
import { join, resolve } from 'node:path'
import nconf from 'nconf'
import { Secret } from '../log.js'
import { packageRoot } from '../root.js'
import { ConfigurationError } from './configuration-error.js'
import { refuseContradictions } from './contradictions.js'
import { type KeyPath, keyOf, keyPaths } from './keys.js'
import {
  namesWithoutEffectIn,
  type RawSource,
  type RawValue,
  readDotEnv,
  readEnvironment,
  readFile,
} from './sources.js'
import { parseValue, type Values } from './values.js'

export interface Config {
  readonly port: number
  readonly host: string
  readonly app: { readonly url: string | null; readonly commit: string | null }
  /** `host:port`, never without a port. Empty: this node runs alone. */
  readonly seeds: readonly string[]
  readonly channel: { readonly host: string | null; readonly port: number }
  readonly forward: { readonly port: number }
  readonly replication: { readonly factor: number; readonly copiesMin: number }
  readonly storage: {
    readonly backend: 'leveldown' | 'memdown'
    /** Absolute. */
    readonly path: string
    readonly sync: boolean
  }
  /** `url` is null for the embedded database. */
  readonly database: { readonly url: Secret | null }
  /** As configured; `openDataDirectory` completes them. */
  readonly secrets: ConfiguredSecrets
  readonly accounts: { readonly signup: boolean; readonly operators: string | null }
  readonly development: { readonly tools: boolean }
  readonly timers: {
    readonly auth: 'key' | 'open'
    /** As `Outbound` takes it. */
    readonly callbacks: { readonly allow: readonly string[] }
    /** Signs calls; null: they are not signed. */
    readonly secret: Secret | null
    /** Files, relative to `folder`, or packages. */
    readonly transports: readonly string[]
  }
  /** Where the process was started. */
  readonly folder: string
  readonly hosts: { readonly http: { readonly allow: readonly string[] } }
  readonly http: { readonly trustedProxies: readonly string[] }
  readonly metrics: { readonly token: Secret | null }
  /** Days for which each is kept; 0: for ever. */
  readonly kept: {
    readonly historyDays: number
    readonly notificationDays: number
    readonly auditDays: number
  }
  readonly mail: {
    /** `Name <address>`, or an address. */
    readonly from: string
    readonly postmark: { readonly key: Secret; readonly url: string } | null
    readonly smtp: SmtpConfig | null
  }
  /** Null: notifications go by e-mail only. */
  readonly slack: { readonly clientId: string; readonly clientSecret: Secret; readonly url: string } | null
  /** Where uploaded files are kept; null: by the nodes. */
  readonly s3: {
    readonly bucket: string
    readonly region: string
    readonly endpoint: string | null
    /** Null: the default chain. */
    readonly credentials: { readonly keyId: string; readonly secret: Secret } | null
  } | null
  /** Signing in through providers. */
  readonly sso: {
    /** Where providers that organizations name may be, besides public addresses; as `Outbound` takes it. */
    readonly allow: readonly string[]
  }
  readonly google: {
    readonly issuer: string
    readonly client: { readonly id: string; readonly secret: Secret } | null
  }
  readonly workos: {
    readonly url: string
    /** Null unless key and client are both set. */
    readonly account: { readonly apiKey: Secret; readonly clientId: string } | null
    readonly webhookSecret: Secret | null
  }
  readonly log: { readonly level: 'warn' | 'debug' }
  readonly demo: boolean
}

/** A mail server, as one address or in parts. */
export type SmtpConfig =
  | { readonly url: Secret }
  | {
      readonly host: string
      readonly port: number
      readonly user: string | null
      readonly password: Secret | null
      /** TLS from the first byte. */
      readonly secure: boolean
    }

export interface ConfiguredSecrets {
  readonly server: Secret | null
  readonly nodes: Secret | null
  readonly cookie: Secret | null
}

/** Where a value came from. */
export interface Origin {
  readonly source: RawSource['name']
  /** What a person wrote it as: a flag, a variable, a file. */
  readonly writtenAs: string
}

export interface LoadedConfig {
  readonly config: Config
  /** Every key, also those that `Config` does not carry because nothing reads them yet. */
  readonly values: Values
  /** `null`: nobody set it. */
  readonly origins: Readonly<Record<KeyPath, Origin | null>>
  /** One line for each setting that has no effect, to be said once at start. */
  readonly notices: readonly string[]
}

export interface ConfigInput {
  readonly flags?: RawSource
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Working directory: `.env` is read here and relative paths start here. */
  readonly folder: string
  /** The file given with `--conf`. */
  readonly file?: string
  /** For tests; by default conf/default.json of the package. */
  readonly defaultsFile?: string
}

export const defaultsFile = join(packageRoot, 'conf', 'default.json')

/** Rejects anything unknown, wrong or contradictory with one `ConfigurationError`. */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const dotEnv = readDotEnv(input.folder)
  const sources: RawSource[] = [
    ...(input.flags === undefined ? [] : [input.flags]),
    readEnvironment('environment', input.environment),
    readEnvironment('.env', dotEnv),
    ...(input.file === undefined ? [] : [readFile('file', resolve(input.folder, input.file))]),
    readFile('default', input.defaultsFile ?? defaultsFile),
  ]
  const provider = new nconf.Provider()
  for (const source of sources) provider.add(source.name, { type: 'literal', store: storeOf(source) })

  const values: Partial<Record<KeyPath, unknown>> = {}
  const origins: Partial<Record<KeyPath, Origin | null>> = {}
  for (const path of keyPaths) {
    const found: Found | undefined = provider.get(path)
    values[path] = found === undefined ? null : checkedValue(path, found)
    origins[path] = found === undefined ? null : { source: found[1].name, writtenAs: found[0].writtenAs }
  }
  const complete = values as Values
  const config = configOf(complete, input.folder)
  const loaded: LoadedConfig = {
    config,
    values: Object.freeze(complete),
    origins: Object.freeze(origins as Record<KeyPath, Origin | null>),
    notices: [...meaninglessNotice(origins), ...namesWithoutEffectIn({ ...dotEnv, ...input.environment })],
  }
  refuseContradictions(loaded)
  return loaded
}

/** One line for all that means nothing here. */
function meaninglessNotice(origins: Partial<Record<KeyPath, Origin | null>>): string[] {
  const meaningless = keyPaths.filter(path => keyOf(path).effect === 'none' && isSetBySomebody(origins[path]))
  if (meaningless.length === 0) return []
  const names = meaningless.map(path => origins[path]?.writtenAs ?? path)
  return [`${names.join(', ')}: accepted for those who come from Skyring, without a meaning here.`]
}

function isSetBySomebody(origin: Origin | null | undefined): boolean {
  return origin !== null && origin !== undefined && origin.source !== 'default'
}

/** What nconf holds for a key: in a list, since it would merge objects of several sources into one. */
type Found = readonly [value: RawValue, source: RawSource]

/** `storage:path` becomes `{storage: {path: …}}`, as nconf walks it. */
function storeOf(source: RawSource): Record<string, unknown> {
  const store: Record<string, unknown> = {}
  for (const [path, value] of source.values) {
    const found: Found = [value, source]
    put(store, path, found)
  }
  return store
}

/** Sets `a:b:c` of a document; the families above are made as needed. */
function put(document: Record<string, unknown>, path: string, value: unknown): void {
  const families = path.split(':')
  const name = families.pop() ?? path
  let inner = document
  for (const family of families) {
    inner[family] ??= {}
    inner = inner[family] as Record<string, unknown>
  }
  inner[name] = value
}

function checkedValue(path: KeyPath, [{ raw, writtenAs }, source]: Found): unknown {
  const key = keyOf(path)
  const parsed = parseValue(path, key, raw, source.written)
  if ('value' in parsed) return parsed.value
  const shown = key.type === 'secret' ? '***' : shorten(JSON.stringify(raw) ?? String(raw))
  const where = source.name === '.env' ? `${writtenAs} in .env` : writtenAs
  throw new ConfigurationError(`${path} = ${shown} (from ${where}) must be ${parsed.allowed}.`, path)
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}

/** Levels at which everything is said. */
const verbose: ReadonlySet<string> = new Set(['debug', 'trace'])

function configOf(values: Values, folder: string): Config {
  return deepFreeze({
    port: values.port,
    host: values.host,
    app: { url: values['app:url'], commit: values['app:commit'] },
    seeds: values.seeds,
    channel: { host: values['channel:host'], port: values['channel:port'] },
    forward: { port: values['forward:port'] },
    replication: { factor: values['replication:factor'], copiesMin: values['replication:min-copies'] },
    storage: {
      backend: values['storage:backend'],
      path: resolve(folder, values['storage:path']),
      sync: values['storage:sync'],
    },
    database: { url: values['database:url'] },
    secrets: {
      server: values['secrets:server'],
      nodes: values['secrets:nodes'],
      cookie: values['secrets:cookie'],
    },
    accounts: { signup: values['accounts:signup'], operators: values['accounts:operators'] },
    development: { tools: values['development:tools'] },
    timers: {
      auth: values['timers:auth'],
      callbacks: { allow: values['timers:callbacks:allow'] },
      secret: values['timers:secret'],
      transports: values.transport,
    },
    folder,
    hosts: { http: { allow: values['hosts:http:allow'] } },
    http: { trustedProxies: values['http:trusted-proxies'] },
    metrics: { token: values['metrics:token'] },
    kept: {
      historyDays: values['history:kept-days'],
      notificationDays: values['notifications:kept-days'],
      auditDays: values['audit:kept-days'],
    },
    mail: {
      from: values['mail:from'],
      postmark:
        values['mail:postmark-key'] === null
          ? null
          : { key: values['mail:postmark-key'], url: values['mail:postmark-url'] },
      smtp: smtpOf(values),
    },
    slack: slackOf(values),
    s3: s3Of(values),
    sso: { allow: values['sso:allow'] },
    google: {
      issuer: values['google:issuer'],
      client:
        values['google:client-id'] === null || values['google:client-secret'] === null
          ? null
          : { id: values['google:client-id'], secret: values['google:client-secret'] },
    },
    workos: {
      url: values['workos:url'],
      account:
        values['workos:api-key'] === null || values['workos:client-id'] === null
          ? null
          : { apiKey: values['workos:api-key'], clientId: values['workos:client-id'] },
      webhookSecret: values['workos:webhook-secret'],
    },
    log: { level: verbose.has(values['log:level']) ? 'debug' : 'warn' },
    demo: values.demo,
  })
}

function smtpOf(values: Values): SmtpConfig | null {
  if (values['smtp:url'] !== null) return { url: values['smtp:url'] }
  const host = values['smtp:host']
  if (host === null) return null
  return {
    host,
    port: values['smtp:port'],
    user: values['smtp:user'],
    password: values['smtp:password'],
    secure: values['smtp:secure'],
  }
}

/** The region that stores which have none go by. */
const commonRegion = 'us-east-1'

function s3Of(values: Values): Config['s3'] {
  const bucket = values['s3:bucket']
  if (bucket === null) return null
  const keyId = values['s3:key-id']
  const secret = values['s3:key-secret']
  return {
    bucket,
    region: values['s3:region'] ?? commonRegion,
    endpoint: values['s3:endpoint'],
    credentials: keyId !== null && secret !== null ? { keyId, secret } : null,
  }
}

function slackOf(values: Values): Config['slack'] {
  const clientId = values['slack:client-id']
  const clientSecret = values['slack:client-secret']
  return clientId === null || clientSecret === null
    ? null
    : { clientId, clientSecret, url: values['slack:url'] }
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !(value instanceof Secret)) {
    for (const part of Object.values(value)) deepFreeze(part)
    Object.freeze(value)
  }
  return value
}

/** What conf/default.json holds: every default of the schema, nested. */
export function defaultsDocument(): Record<string, unknown> {
  const document: Record<string, unknown> = {}
  for (const path of keyPaths) {
    const value = keyOf(path).default
    if (value === null) continue
    put(document, path, value)
  }
  return document
}
