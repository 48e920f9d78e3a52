/**
 * Every setting, in one table: the single schema behind flags, environment, files, help, documentation and `Config`.
 *
 * A key `a:b-c` is the flag `--a:b-c`, the variable `A__B_C` and the file entry `{"a":{"b-c":…}}`. Names of the
 * original server stand beside the key that took over their meaning. A key that is accepted but not acted on yet says
 * so (`effect`), and a start with such a key set says it too: nothing is ignored in silence.
 */

export type KeyType =
  | 'port'
  | 'integer'
  | 'boolean'
  | 'text'
  | 'choice'
  | 'list'
  | 'words'
  | 'destinations'
  | 'seeds'
  | 'url'
  | 'secret'

/** A variable of the original server that sets a key. */
export interface OriginalName {
  readonly name: string
  /** What it does here, for people who come from the original. */
  readonly note: string
  /** Turns the original's words into ours; without it the text is taken as it is. */
  readonly translate?: (text: string) => string
}

export interface Key {
  readonly type: KeyType
  /** `null`: unset, which the description explains. */
  readonly default: number | boolean | string | readonly string[] | null
  /** Half a sentence, as it stands in the help. */
  readonly description: string
  readonly choices?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  /** Fewest characters, for secrets. */
  readonly lengthMin?: number
  readonly short?: string
  /** Further long flags. */
  readonly aliases?: readonly string[]
  readonly originals?: readonly OriginalName[]
  /** Further variables that set it: names that other programs have made common. */
  readonly commonNames?: readonly string[]
  /** It is accepted, and means nothing here. */
  readonly effect?: 'none'
}

const originalLogLevels: Readonly<Record<string, string>> = {
  error: 'warn',
  info: 'warn',
  http: 'warn',
  verbose: 'debug',
  silly: 'debug',
}

export const keys = {
  port: {
    type: 'port',
    default: 3000,
    maximum: 65_535,
    short: 'p',
    description: 'port of the dashboard, the API and all websockets; 0 takes a free one',
    originals: [{ name: 'PORT', note: 'the same; the second port 3033 of the original is not opened' }],
  },
  host: {
    type: 'text',
    default: '127.0.0.1',
    description: 'address to listen on; 0.0.0.0 for all (set in the container image)',
  },
  'app:url': {
    type: 'url',
    default: null,
    description:
      'address under which people reach the dashboard; when unset, a socket must come from the host it connects to',
    originals: [
      {
        name: 'APP_URL',
        note: 'links in mails, the allowed origin; `https` makes cookies `Secure`. Optional here',
      },
    ],
  },
  'app:commit': {
    type: 'text',
    default: null,
    description: 'commit shown at /health-check/rev; browsers reload when it changes',
    originals: [{ name: 'GIT_COMMIT', note: 'the same' }],
  },
  seeds: {
    type: 'seeds',
    default: [],
    short: 's',
    aliases: ['seed'],
    description: 'nodes to join, host[:3455], repeated or with commas; none: this node runs alone',
  },
  'channel:host': {
    type: 'text',
    default: null,
    description:
      'address by which the other nodes reach this one; when unset, the one used towards the seeds',
  },
  'channel:port': {
    type: 'port',
    default: 3455,
    maximum: 32_767,
    description: 'port for gossip between nodes; 0 takes a free one',
  },
  'forward:port': {
    type: 'port',
    default: 0,
    maximum: 32_767,
    description: 'port for calls between nodes; 0 takes a free one and tells the others',
  },
  'replication:factor': {
    type: 'integer',
    default: 2,
    minimum: 1,
    maximum: 3,
    description: 'copies of every partition in a ring, the owner included; a node alone has one',
  },
  'replication:min-copies': {
    type: 'integer',
    default: 1,
    minimum: 1,
    maximum: 3,
    description:
      'copies without which nothing is acknowledged, the owner’s included; 1 goes on with the last copy, 2 waits until there is another',
  },
  'storage:backend': {
    type: 'choice',
    default: 'leveldown',
    choices: ['leveldown', 'memdown'],
    description: 'where live state is kept: on disk, or in memory and gone with the process',
  },
  'storage:path': {
    type: 'text',
    default: './data',
    description: 'data directory: live state, embedded database, node id, secrets, lock, admin socket',
  },
  'storage:sync': {
    type: 'boolean',
    default: true,
    description: 'flush to the disk before anything is acknowledged',
  },
  'database:url': {
    type: 'secret',
    default: null,
    description: 'postgres://…; when unset, a database embedded in the data directory (not with seeds)',
    originals: [{ name: 'DATABASE_URL', note: 'the same; optional while one node runs alone' }],
  },
  'secrets:server': {
    type: 'secret',
    default: null,
    description:
      'signs requests to serverless hosts, and links to files; made once when unset and there are no seeds',
    originals: [
      {
        name: 'SECRET',
        note: 'signs requests to serverless hosts and links to files; passwords have a salt each, API keys are too long to need one. Required with seeds',
      },
    ],
  },
  'secrets:nodes': {
    type: 'secret',
    default: null,
    lengthMin: 16,
    description: 'by which nodes know each other; made once when unset and there are no seeds',
    originals: [
      {
        name: 'WSS_API_SECRET',
        note: 'nodes authenticate to each other with it; under 16 characters is refused',
      },
    ],
  },
  'secrets:cookie': {
    type: 'secret',
    default: null,
    lengthMin: 32,
    description: 'protects sessions and the links in mails; made once when unset and there are no seeds',
    originals: [{ name: 'AUTH_COOKIE_SECRET', note: 'the same; under 32 characters is refused' }],
  },
  'accounts:operators': {
    type: 'text',
    default: null,
    description:
      'slug of the organization whose administrators see the state of the nodes; unset, the first that was made, and nobody once that is deleted',
  },
  'accounts:signup': {
    type: 'boolean',
    default: true,
    description: 'whether people may sign up by themselves; the first account is always made by set-up',
  },
  'development:tools': {
    type: 'boolean',
    default: false,
    description:
      'tools for who develops this server or actions: /api/system/reboot, for anybody, and the same in the command bar; never where others work',
  },
  'timers:auth': {
    type: 'choice',
    default: 'key',
    choices: ['key', 'open'],
    description: 'who may use the timer API: key, with an API key; open, everybody who reaches the port',
  },
  'timers:callbacks:allow': {
    type: 'destinations',
    default: [],
    description:
      'networks (10.0.0.0/8), addresses and host names (also *.example.com) that callbacks of timers may go to, besides public addresses',
  },
  'timers:secret': {
    type: 'secret',
    default: null,
    lengthMin: 16,
    description:
      'signs calls of timers: x-timer-signature, HMAC-SHA256 over `firing id.body`; unsigned when unset',
  },
  transport: {
    type: 'words',
    default: [],
    short: 't',
    description:
      'further ways in which timers may call: files or packages that export a class, as for Skyring',
  },
  autobalance: {
    type: 'boolean',
    default: false,
    description: 'a flag of Skyring: timers always move with their partition',
    effect: 'none',
  },
  'nats:hosts': {
    type: 'words',
    default: [],
    description: 'a flag of Skyring: nodes need nothing between them',
    effect: 'none',
  },
  'log:pretty': {
    type: 'boolean',
    default: false,
    description: 'a flag of Skyring: a line of the log is text',
    effect: 'none',
  },
  'hosts:http:allow': {
    type: 'destinations',
    default: [],
    description:
      'networks, addresses and host names at which serverless hosts may be, besides public addresses',
  },
  'http:trusted-proxies': {
    type: 'list',
    default: [],
    description: 'addresses or networks (10.0.0.0/8) whose X-Forwarded-* headers are believed',
  },
  'metrics:token': {
    type: 'secret',
    default: null,
    lengthMin: 16,
    description: 'bearer token for /metrics from elsewhere; without it only loopback may read them',
  },
  'history:kept-days': {
    type: 'integer',
    default: 0,
    minimum: 0,
    maximum: 36_500,
    description: 'runs that ended longer ago leave the history, with what they logged; 0 keeps them for ever',
  },
  'notifications:kept-days': {
    type: 'integer',
    default: 0,
    minimum: 0,
    maximum: 36_500,
    description: 'notifications that are older are removed, once they are delivered; 0 keeps them for ever',
  },
  'audit:kept-days': {
    type: 'integer',
    default: 0,
    minimum: 0,
    maximum: 36_500,
    description: 'rows of the audit log that are older are removed; 0 keeps them for ever',
  },
  'log:level': {
    type: 'choice',
    default: 'warn',
    choices: ['warn', 'debug', 'info', 'error', 'fatal', 'trace'],
    description:
      'warn, or info, error, fatal: problems only; debug or trace: everything (DEBUG=interval:hosts* selects by folder)',
    originals: [
      {
        name: 'LOG_LEVEL',
        note: '`verbose`, `debug` and `silly` show everything, the others problems only',
        translate: text => originalLogLevels[text] ?? text,
      },
    ],
  },
  demo: {
    type: 'boolean',
    default: false,
    description: 'also start a sample host, built with the real SDK, with a few actions to try',
  },
  'mail:from': {
    type: 'text',
    default: 'Interval <help@interval.com>',
    description: 'sender of mails; most mail servers want an address of their own',
    originals: [{ name: 'EMAIL_FROM', note: 'the same' }],
  },
  'mail:postmark-key': {
    type: 'secret',
    default: null,
    description: 'server token of Postmark, to send mails through it; not beside smtp',
    originals: [{ name: 'POSTMARK_API_KEY', note: 'the same; any SMTP server does too (smtp:url)' }],
  },
  'mail:postmark-url': {
    type: 'url',
    default: 'https://api.postmarkapp.com',
    description: 'where the API of Postmark is',
  },
  'smtp:url': {
    type: 'secret',
    default: null,
    description:
      'mail server as smtp://user:password@host:587, or smtps:// for TLS from the first byte; when neither this nor smtp:host nor Postmark is set, mails stay in the outbox that administrators can read',
    commonNames: ['SMTP_URL'],
  },
  'smtp:host': {
    type: 'text',
    default: null,
    description: 'mail server, where smtp:url is not set',
    commonNames: ['SMTP_HOST'],
  },
  'smtp:port': {
    type: 'port',
    default: 587,
    maximum: 65_535,
    description: 'port of the mail server; 465 with smtp:secure',
    commonNames: ['SMTP_PORT'],
  },
  'smtp:user': {
    type: 'text',
    default: null,
    description: 'who signs in to the mail server; nobody when unset',
    commonNames: ['SMTP_USER'],
  },
  'smtp:password': {
    type: 'secret',
    default: null,
    description: 'password for the mail server',
    commonNames: ['SMTP_PASSWORD'],
  },
  'smtp:secure': {
    type: 'boolean',
    default: false,
    description: 'TLS from the first byte; otherwise the mail server is asked for it (STARTTLS)',
    commonNames: ['SMTP_SECURE'],
  },
  'sso:allow': {
    type: 'destinations',
    default: [],
    description:
      'networks, addresses and host names at which providers of single sign-on may be, besides public addresses; only these may be asked without TLS',
  },
  'google:client-id': {
    type: 'text',
    default: null,
    description: 'OAuth client at Google, for signing in with Google; with google:client-secret',
    commonNames: ['GOOGLE_CLIENT_ID'],
  },
  'google:client-secret': {
    type: 'secret',
    default: null,
    description: 'secret of that client',
    commonNames: ['GOOGLE_CLIENT_SECRET'],
  },
  'google:issuer': {
    type: 'url',
    default: 'https://accounts.google.com',
    description: 'issuer of Google’s id tokens',
  },
  'workos:api-key': {
    type: 'secret',
    default: null,
    description: 'WorkOS key, for signing in through WorkOS; with workos:client-id',
    originals: [{ name: 'WORKOS_API_KEY', note: 'the same: single sign-on and Google through WorkOS' }],
  },
  'workos:client-id': {
    type: 'text',
    default: null,
    description: 'WorkOS client, for signing in through WorkOS',
    originals: [{ name: 'WORKOS_CLIENT_ID', note: 'the same' }],
  },
  'workos:webhook-secret': {
    type: 'secret',
    default: null,
    description: 'secret of the webhook of WorkOS, for directory sync',
    originals: [
      { name: 'WORKOS_WEBHOOK_SECRET', note: 'the same: /api/webhooks/workos is open with it only' },
    ],
  },
  'workos:url': {
    type: 'url',
    default: 'https://api.workos.com',
    description: 'where the API of WorkOS is',
  },
  'slack:client-id': {
    type: 'text',
    default: null,
    description:
      'client id of an app of Slack, for notifications there; administrators connect their workspace',
    originals: [{ name: 'SLACK_CLIENT_ID', note: 'the same' }],
  },
  'slack:client-secret': {
    type: 'secret',
    default: null,
    description: 'client secret of that app; its redirect address is <app:url>/api/auth/oauth/slack',
    originals: [{ name: 'SLACK_CLIENT_SECRET', note: 'the same; workspaces have to be connected anew' }],
  },
  'slack:url': { type: 'url', default: 'https://slack.com', description: 'where Slack is' },
  's3:key-id': {
    type: 'text',
    default: null,
    description:
      'access key for S3; without it the default chain is asked: environment, files, the role of the machine',
    originals: [{ name: 'S3_KEY_ID', note: 'the same. Optional here' }],
  },
  's3:key-secret': {
    type: 'secret',
    default: null,
    description: 'secret key for S3, with `s3:key-id`',
    originals: [{ name: 'S3_KEY_SECRET', note: 'the same. Optional here' }],
  },
  's3:bucket': {
    type: 'text',
    default: null,
    description: 'S3 bucket for uploaded files; without it the nodes keep them themselves',
    originals: [{ name: 'S3_BUCKET', note: 'the same' }],
  },
  's3:region': {
    type: 'text',
    default: null,
    description: 'region of the bucket; us-east-1 when there is an endpoint and no region',
    originals: [{ name: 'S3_REGION', note: 'the same' }],
  },
  's3:endpoint': {
    type: 'url',
    default: null,
    description: 'address of a store that speaks as S3 does; unset: Amazon’s',
    originals: [{ name: 'S3_ENDPOINT', note: 'the same. Optional here' }],
  },
} as const satisfies Record<string, Key>

export type KeyPath = keyof typeof keys

export const keyPaths = Object.keys(keys) as readonly KeyPath[]

export function isKeyPath(path: string): path is KeyPath {
  return Object.hasOwn(keys, path)
}

/** The key's description as the general type, without the literal types of the table. */
export function keyOf(path: KeyPath): Key {
  return keys[path]
}

/** `storage:path` → `STORAGE__PATH`, `http:trusted-proxies` → `HTTP__TRUSTED_PROXIES`. */
export function environmentNameOf(path: string): string {
  return path.replaceAll(':', '__').replaceAll('-', '_').toUpperCase()
}

/** Variables of the original that nothing here corresponds to. */
export const namesWithoutEffect: readonly {
  readonly name: string
  readonly note: string
  /** Said at start when it is set. Not for names that many other programs use. */
  readonly reported: boolean
}[] = [
  {
    name: 'NODE_ENV',
    note: 'not needed: every node behaves as in `production`. Cookies are `Secure` when APP_URL is https, and there are no debug routes',
    reported: false,
  },
  { name: 'GHOST_MODE', note: 'no effect: there are no anonymous organizations', reported: true },
  { name: 'SDK_VERSION', note: 'no effect: only the original’s own tests used it', reported: true },
  { name: 'TEST_UPLOADS', note: 'no effect: only the original’s own tests used it', reported: true },
  { name: 'TEST_RECONNECT', note: 'no effect: only the original’s own tests used it', reported: true },
  { name: 'HEADED', note: 'no effect: only the original’s own tests used it', reported: true },
  { name: 'CI', note: 'no effect: only the original’s own tests used it', reported: false },
  { name: 'PLAYWRIGHT_*', note: 'no effect: only the original’s own tests used them', reported: false },
]
