/** Settings: where they come from, which wins, and what is refused with which line. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { defaultsFile } from '../../../lib/config/config.js'
import {
  ConfigurationError,
  defaultsDocument,
  type KeyPath,
  keyPaths,
  type LoadedConfig,
  loadConfig,
  readCommandLine,
} from '../../../lib/config/index.js'

const long = 'x'.repeat(40)

interface Given {
  readonly flags?: string
  readonly environment?: Record<string, string>
  readonly dotEnv?: string
  readonly file?: unknown
}

let folders = 0

function load(root: string, { flags, environment = {}, dotEnv, file }: Given): LoadedConfig {
  folders += 1
  const folder = join(root, String(folders))
  mkdirSync(folder)
  if (dotEnv !== undefined) writeFileSync(join(folder, '.env'), dotEnv)
  if (file !== undefined) {
    writeFileSync(join(folder, 'conf.json'), typeof file === 'string' ? file : JSON.stringify(file))
  }
  const line = readCommandLine(flags === undefined ? [] : flags.split(' '), [])
  return loadConfig({
    flags: line.flags,
    environment,
    folder,
    ...(file === undefined ? {} : { file: 'conf.json' }),
  })
}

t.test('each source gives a value, and its origin is known', async t => {
  const root = t.testdir()
  const cases: [Given, KeyPath, unknown, string, string][] = [
    [{}, 'port', 3000, 'default', defaultsFile],
    [{ flags: '-p 4000' }, 'port', 4000, 'flag', '-p'],
    [{ flags: '-p4000' }, 'port', 4000, 'flag', '-p'],
    [{ flags: '--port=4000' }, 'port', 4000, 'flag', '--port'],
    [{ environment: { PORT: '4001' } }, 'port', 4001, 'environment', 'PORT'],
    [
      { environment: { STORAGE__BACKEND: 'memdown' } },
      'storage:backend',
      'memdown',
      'environment',
      'STORAGE__BACKEND',
    ],
    [{ dotEnv: 'PORT=4002\n' }, 'port', 4002, '.env', 'PORT'],
    [
      { environment: { APP_URL: 'https://a.example/' } },
      'app:url',
      'https://a.example',
      'environment',
      'APP_URL',
    ],
    [{ environment: { LOG_LEVEL: 'silly' } }, 'log:level', 'debug', 'environment', 'LOG_LEVEL'],
    [{ environment: { GIT_COMMIT: 'abc' } }, 'app:commit', 'abc', 'environment', 'GIT_COMMIT'],
    [{ flags: '--demo' }, 'demo', true, 'flag', '--demo'],
    [{ flags: '--no-demo', environment: { DEMO: '1' } }, 'demo', false, 'flag', '--no-demo'],
    [{ flags: '--storage:sync=false' }, 'storage:sync', false, 'flag', '--storage:sync'],
    [{ flags: '--storage:sync false' }, 'storage:sync', false, 'flag', '--storage:sync'],
    [
      { environment: { ACCOUNTS__SIGNUP: 'off' } },
      'accounts:signup',
      false,
      'environment',
      'ACCOUNTS__SIGNUP',
    ],
    [
      { environment: { HTTP__TRUSTED_PROXIES: '10.0.0.0/8, ::1' } },
      'http:trusted-proxies',
      ['10.0.0.0/8', '::1'],
      'environment',
      'HTTP__TRUSTED_PROXIES',
    ],
  ]
  for (const [given, path, value, source, writtenAs] of cases) {
    const { values, origins } = load(root, given)
    t.same(values[path], value, `${path} from ${JSON.stringify(given)}`)
    t.same(origins[path], { source, writtenAs }, `${path}: origin`)
  }
  for (const file of [{ storage: { backend: 'memdown' } }, { 'storage:backend': 'memdown' }]) {
    const { config, origins } = load(root, { file })
    t.equal(config.storage.backend, 'memdown', `file ${JSON.stringify(file)}`)
    t.equal(origins['storage:backend']?.source, 'file')
  }
})

t.test('a key of three parts has its flag, variable, place in a file and default', async t => {
  const root = t.testdir()
  const allow = ['10.0.0.0/8', 'receiver.internal']
  const text = allow.join(', ')
  const path = 'timers:callbacks:allow'
  t.same(load(root, {}).config.timers, {
    auth: 'key',
    callbacks: { allow: [] },
    secret: null,
    transports: [],
  })
  t.same(load(root, {}).config.hosts, { http: { allow: [] } })
  for (const given of [
    { flags: `--${path} 10.0.0.0/8 --${path}=receiver.internal` },
    { environment: { TIMERS__CALLBACKS__ALLOW: text } },
    { file: { timers: { auth: 'open', callbacks: { allow } } } },
    { file: { timers: { 'callbacks:allow': allow } } },
    { file: { [path]: allow } },
  ])
    t.same(load(root, given).config.timers.callbacks.allow, allow, JSON.stringify(given))
  const both = load(root, { environment: { TIMERS__AUTH: 'open', HOSTS__HTTP__ALLOW: '*.a.example' } })
  t.equal(both.config.timers.auth, 'open')
  t.same(both.config.hosts.http.allow, ['*.a.example'])
  t.throws(
    () => load(root, { environment: { TIMERS__CALLBACKS__ALLOW: '10.0.0.0/8,10.0.0.0/99' } }),
    /^timers:callbacks:allow = "10.0.0.0\/8,10.0.0.0\/99" \(from TIMERS__CALLBACKS__ALLOW\) must be a list .*; "10.0.0.0\/99" is not a network/,
  )
  t.throws(() => load(root, { environment: { TIMERS__CALBACKS__ALLOW: 'a' } }), /TIMERS__CALLBACKS__ALLOW/)
})

t.test('the first source wins: flags, environment, .env, file, defaults', async t => {
  const root = t.testdir()
  const all = {
    flags: '--port 1001',
    environment: { PORT: '1002' },
    dotEnv: 'PORT=1003',
    file: { port: 1004 },
  }
  t.equal(load(root, all).config.port, 1001)
  t.equal(load(root, { ...all, flags: '--no-demo' }).config.port, 1002)
  t.equal(load(root, { ...all, flags: '--no-demo', environment: {} }).config.port, 1003)
  t.equal(load(root, { file: all.file }).config.port, 1004)
  t.equal(load(root, {}).config.port, 3000)
  t.equal(load(root, { environment: { PORT: '' } }).config.port, 3000, 'an empty variable is unset')
  const own = load(root, { environment: { LOG__LEVEL: 'debug', LOG_LEVEL: 'error' } })
  t.equal(own.config.log.level, 'debug', 'our name goes before the translated one of the original')
})

t.test('seeds are repeated or listed and always get a port', async t => {
  const root = t.testdir()
  const ring = {
    DATABASE_URL: 'postgres://u:p@db/x',
    SECRET: long,
    WSS_API_SECRET: long,
    AUTH_COOKIE_SECRET: long,
  }
  for (const flags of ['-s a -s b:4000 --seed [::1]', '--seeds a,b:4000 --seeds [::1]:3455']) {
    t.same(load(root, { flags, environment: ring }).config.seeds, ['a:3455', 'b:4000', '[::1]:3455'])
  }
  t.same(load(root, { file: { seeds: ['a'] }, environment: ring }).config.seeds, ['a:3455'])
})

t.test('what is refused, and the line that says so', async t => {
  const root = t.testdir()
  const ring = {
    DATABASE_URL: 'postgres://u:p@db/x',
    SECRET: long,
    WSS_API_SECRET: long,
    AUTH_COOKIE_SECRET: long,
  }
  const cases: [Given, RegExp][] = [
    [{ flags: '--prot 1' }, /^Unknown flag --prot\. Did you mean --port\?$/],
    [{ flags: '-x' }, /^Unknown flag -x\./],
    [{ flags: '--storage:pth x' }, /Did you mean --storage:path\?/],
    [{ flags: '--no-port' }, /^Unknown flag --no-port\./],
    [{ flags: '--port' }, /^--port needs a value\.$/],
    [{ flags: '--port --demo' }, /^--port needs a value\.$/],
    [{ flags: '--port 1 --port 2' }, /^--port is given twice\.$/],
    [{ flags: '--port 99999' }, /^port = "99999" \(from --port\) must be a port from 0 to 65535\.$/],
    [{ flags: '--port http' }, /port = "http"/],
    [{ flags: '--port=-1' }, /port = "-1"/],
    [{ flags: '--channel:port 40000' }, /channel:port .* from 0 to 32767/],
    [{ flags: '--replication:factor 4' }, /replication:factor = "4" .* from 1 to 3/],
    [{ flags: '--storage:backend level' }, /one of leveldown, memdown\.$/],
    [{ flags: '--demo=maybe' }, /demo = "maybe" .* true or false\.$/],
    [
      { environment: { STORAGE__PTH: 'x' } },
      /^Unknown variable STORAGE__PTH\. Did you mean STORAGE__PATH\?$/,
    ],
    [
      { environment: { Storage__path: 'x' } },
      /^Unknown variable Storage__path\. Did you mean STORAGE__PATH\?$/,
    ],
    [{ dotEnv: 'CHANNEL__PROT=1' }, /Did you mean CHANNEL__PORT\?/],
    [{ dotEnv: 'PORT=abc' }, /from PORT in \.env/],
    [{ environment: { DATABASE_URL: 'postgres://a', DATABASE__URL: 'postgres://b' } }, /differ/],
    [
      { file: { storage: { pth: 'x' } } },
      /^Unknown key storage:pth in .*conf\.json\. Did you mean storage:path\?$/,
    ],
    [{ file: { port: '3000' } }, /port = "3000" .* must be a port/],
    [{ file: { demo: 'true' } }, /demo = "true"/],
    [{ file: { port: 1, storage: 'x' } }, /^Key storage in .*conf\.json must be an object of settings\.$/],
    [{ file: { 'storage:path': 'a', storage: { path: 'b' } } }, /stands twice/],
    [{ file: '{"__proto__":{"a":1}}' }, /Unknown key __proto__/],
    [{ file: '{"secret":"hush-hush"' }, /is not valid JSON\.$/],
    [{ file: '[]' }, /must hold one JSON object/],
    [{ flags: '--app:url ftp://a' }, /app:url/],
    [{ flags: '--app:url https://a.example/path' }, /without a path/],
    [{ flags: '--http:trusted-proxies nonsense' }, /http:trusted-proxies/],
    [{ flags: '--seeds a:99999', environment: ring }, /seeds = "a:99999"/],
    [{ environment: { DATABASE_URL: 'mysql://root:pw@db' } }, /^database:url = \*\*\* \(from DATABASE_URL\)/],
    [
      { environment: { AUTH_COOKIE_SECRET: 'short' } },
      /^secrets:cookie = \*\*\* \(from AUTH_COOKIE_SECRET\) must be at least 32 characters\.$/,
    ],
    [
      { environment: { WSS_API_SECRET: 'short' } },
      /^secrets:nodes = \*\*\* \(from WSS_API_SECRET\) must be at least 16 characters\.$/,
    ],
    [
      { flags: '--replication:min-copies 3' },
      /^replication:min-copies = 3 is more than replication:factor = 2/,
    ],
    [{ flags: '--port 3455' }, /channel:port = 3455 is also port/],
    [{ flags: '--forward:port 3000' }, /forward:port = 3000 is also port/],
    [{ flags: '-s a' }, /^seeds = a:3455 needs database:url \(DATABASE_URL\)/],
    [
      { flags: '-s a', environment: { ...ring, WSS_API_SECRET: '' } },
      /^secrets:nodes \(WSS_API_SECRET\) is missing: .* Make one with: node -p/,
    ],
  ]
  for (const [given, expected] of cases) {
    try {
      load(root, given)
      t.fail(`accepted ${JSON.stringify(given)}`)
    } catch (error) {
      t.ok(error instanceof ConfigurationError, JSON.stringify(given))
      const message = error instanceof Error ? error.message : ''
      t.match(message, expected)
      t.notMatch(message, /\n|short|hush|:pw@/, 'one line, no secret')
    }
  }
  t.throws(
    () => loadConfig({ environment: {}, folder: root, file: 'none.json' }),
    /cannot be read \(ENOENT\)/,
  )
})

t.test('somebody else’s variables are not ours', async t => {
  const root = t.testdir()
  const environment = { FOO__BAR: '1', __STORAGE: 'x', npm_config__x: 'y', PATH: '/bin' }
  t.equal(load(root, { environment }).config.port, 3000)
})

t.test('what has no effect is said once, in one line each', async t => {
  const root = t.testdir()
  const environment = {
    GHOST_MODE: 'true',
    CI: '1',
    NODE_ENV: 'production',
  }
  const { notices } = load(root, { environment })
  t.same(notices, ['GHOST_MODE has no effect: there are no anonymous organizations.'])
  t.same(load(root, {}).notices, [])
})

t.test('half of an app of Slack is refused, and two ways for mails', async t => {
  const given = (environment: Record<string, string>) => () => load(t.testdir(), { environment })
  t.throws(given({ SLACK_CLIENT_ID: 'a' }), /belong together/)
  t.throws(given({ SMTP_URL: 'smtp://mail.test', POSTMARK_API_KEY: 'key' }), /not both/)
  t.throws(given({ SMTP_URL: 'smtp://mail.test', SMTP_HOST: 'mail.test' }), /give one of them/)
  t.throws(given({ SMTP_URL: 'http://mail.test' }), /an address like smtp:/)
  t.match(given({ SMTP_HOST: 'mail.test', SMTP_PORT: '465', SMTP_SECURE: 'yes' })().config.mail.smtp, {
    host: 'mail.test',
    port: 465,
    secure: true,
  })
})

t.test('a store for files is whole, or there is none', async t => {
  const s3 = (environment: Record<string, string>) => load(t.testdir(), { environment }).config.s3
  t.equal(s3({}), null)
  t.match(s3({ S3_BUCKET: 'files', S3_REGION: 'eu-central-1' }), {
    bucket: 'files',
    region: 'eu-central-1',
    endpoint: null,
    credentials: null,
  })
  const other = s3({
    S3_BUCKET: 'files',
    S3_ENDPOINT: 'https://store.example.com',
    S3_KEY_ID: 'id',
    S3_KEY_SECRET: 'hidden',
  })
  t.match(other, { region: 'us-east-1', endpoint: 'https://store.example.com', credentials: { keyId: 'id' } })
  t.equal(other?.credentials?.secret.reveal(), 'hidden')
  t.throws(() => s3({ S3_BUCKET: 'files' }), /s3:region \(S3_REGION\) is missing/)
  t.throws(() => s3({ S3_REGION: 'eu-central-1' }), /s3:bucket \(S3_BUCKET\) is missing/)
  t.throws(() => s3({ S3_BUCKET: 'b', S3_REGION: 'r', S3_KEY_ID: 'id' }), /s3:key-secret .* is missing/)
  t.throws(() => s3({ S3_BUCKET: 'b', S3_REGION: 'r', S3_KEY_SECRET: 's' }), /s3:key-id .* is missing/)
})

t.test('secrets stay hidden however the configuration is printed', async t => {
  const root = t.testdir()
  const loaded = load(root, {
    environment: {
      DATABASE_URL: 'postgres://user:hunter2@db/x?password=hunter2',
      SECRET: `hunter2${long}`,
      AUTH_COOKIE_SECRET: `hunter2${long}`,
      POSTMARK_API_KEY: 'hunter2',
    },
  })
  for (const text of [
    JSON.stringify(loaded),
    inspect(loaded, { depth: 9, showHidden: true }),
    String(loaded.config.database.url),
    `${loaded.config.secrets.server}`,
  ]) {
    t.notMatch(text, 'hunter2')
  }
  t.match(loaded.config.database.url?.reveal(), 'hunter2')
})

t.test('the configuration is frozen', async t => {
  const { config } = load(t.testdir(), {})
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.storage) && Object.isFrozen(config.seeds))
})

t.test('conf/default.json holds the defaults of the schema', async t => {
  t.same(JSON.parse(readFileSync(defaultsFile, 'utf8')), defaultsDocument())
  t.ok(keyPaths.length > 20)
})
