/** The command line as people meet it: help, mistakes, settings. Every command runs as a process of its own. */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { commands } from '../../../lib/cli/dispatch.js'
import { keyOf, keyPaths } from '../../../lib/config/index.js'
import { packageVersion } from '../../../lib/root.js'
import { command } from './command-process.js'

const run = promisify(execFile)
const long = 'hush'.repeat(10)

t.test('the help names every command, and every command every setting', async t => {
  const folder = t.testdir()
  const overview = await command(['--help'], { folder })
  t.equal(overview.code, 0)
  for (const { name, summary } of commands) {
    t.match(overview.output, `  ${name}`)
    t.ok(summary.length > 10)
    const help = await command(name === 'run' ? ['help', name] : [name, '-h'], { folder })
    t.equal(help.code, 0, name)
    t.equal(help.errors, '')
    t.match(help.output, `Usage: interval-server ${name}`)
    for (const path of keyPaths) {
      if (keyOf(path).effect === undefined)
        t.ok(help.output.includes(path), `${name} --help explains ${path}`)
    }
    t.ok(
      help.output.split('\n').every(line => line.length <= 112),
      'lines fit a terminal',
    )
  }
})

t.test('the version is that of the package', async t => {
  const { code, output } = await command(['--version'], { folder: t.testdir() })
  t.equal(code, 0)
  t.equal(output, `${packageVersion}\n`)
})

t.test('LevelDB and password hashes share eight threads, unless something else is said', async t => {
  const program = fileURLToPath(new URL('../../../../bin/interval-server', import.meta.url))
  const says = 'data:text/javascript,process.on("exit",()=>console.log(process.env.UV_THREADPOOL_SIZE))'
  const threads = async (environment: Record<string, string>) => {
    const words = ['--import', says, program, '--version']
    const { stdout } = await run(process.execPath, words, {
      env: { PATH: process.env.PATH ?? '', ...environment },
    })
    return stdout.trim().split('\n').at(-1)
  }
  t.equal(await threads({}), '8')
  t.equal(await threads({ UV_THREADPOOL_SIZE: '12' }), '12')
})

t.test('a line that is not understood ends with code 2 and one line that helps', async t => {
  const folder = t.testdir({ 'bad.json': '{"prot":1}' })
  const cases: [string[], RegExp, Record<string, string>?][] = [
    [['rnu'], /Unknown command rnu\. Did you mean run\?/],
    [['strat'], /Did you mean start\?/],
    [['run', '--prot', '1'], /Unknown flag --prot\. Did you mean --port\?/],
    [['config', '--jsn'], /Did you mean --json\?/],
    [['run', '--json'], /Unknown flag --json\./],
    [['--conf', 'bad.json', 'config'], /Unknown key prot in .*bad\.json\. Did you mean port\?/],
    [['config', '--conf', 'none.json'], /none\.json cannot be read \(ENOENT\)/],
    [['run', '-p', 'http'], /port = "http" \(from -p\) must be a port from 0 to 65535\./],
    [['run', '-s', 'a'], /seeds = a:3455 needs database:url/],
    [['doctor', '--port'], /--port needs a value/],
    [['run'], /secrets:cookie = \*\*\*/, { AUTH_COOKIE_SECRET: 'hush' }],
    [['run'], /Unknown variable STORAGE__PTH/, { STORAGE__PTH: 'x' }],
    [['admin'], /Name an operation/],
    [['admin', 'findUser', '{}'], /the argument is JSON on standard input/],
    [['db-init', 'now'], /Unexpected "now"/],
  ]
  for (const [words, expected, environment = {}] of cases) {
    const { code, output, errors } = await command(words, { folder, environment })
    if (words[0] === 'doctor') t.equal(output, '')
    t.equal(code, 2, words.join(' '))
    t.match(errors, expected)
    t.match(errors, /^interval-server: [^\n]+\n$/, 'one line')
    t.notMatch(errors, 'hush')
  }
  const nothing = await command([], { folder })
  t.equal(nothing.code, 2)
  t.match(nothing.errors, 'Usage: interval-server <command>')
})

t.test('config shows values and origins, and never a secret', async t => {
  const folder = t.testdir({ '.env': 'PORT=4100\n', 'c.json': '{"channel":{"port":4200}}' })
  const environment = {
    DATABASE_URL: 'postgres://me:hush@db.example/x?password=hush',
    SECRET: long,
    AUTH_COOKIE_SECRET: long,
    SLACK_CLIENT_ID: 'app',
    SLACK_CLIENT_SECRET: 'hush',
    S3_BUCKET: 'bucket',
    S3_REGION: 'eu-central-1',
  }
  const words = ['--storage:path', 'here', 'config', '--conf', 'c.json', '--demo']
  const text = await command(words, { folder, environment })
  t.equal(text.code, 0)
  t.match(text.output, /^port +4100 +\.env PORT$/m)
  t.match(text.output, /^channel:port +4200 +file .*c\.json$/m)
  t.match(text.output, /^demo +true +flag --demo$/m)
  t.match(
    text.output,
    /^database:url +postgres:\/\/me:\*\*\*@db\.example\/x\?password=\*\*\* +environment DATABASE_URL$/m,
  )
  t.match(text.output, /^s3:bucket +bucket +environment S3_BUCKET$/m)
  const json = await command([...words, '--json'], { folder, environment })
  const parsed = JSON.parse(json.output)
  t.same(parsed.port, { value: 4100, source: '.env', writtenAs: 'PORT' })
  t.same(parsed['secrets:server'], { value: '***', source: 'environment', writtenAs: 'SECRET' })
  for (const shown of [text, json]) t.notMatch(shown.output + shown.errors, 'hush')
})

t.test('a data directory that is not there, or not one, is said in one line', async t => {
  const folder = t.testdir({ file: 'x' })
  mkdirSync(join(folder, 'data'))
  writeFileSync(join(folder, 'data', 'node-id'), 'nonsense')
  const cases: [string[], RegExp][] = [
    [['state', 'list', '--storage:path', 'none'], /There is no data directory at .*none/],
    [['run', '--storage:path', 'file'], /cannot be used: it is a file|is not a folder/],
    [['run', '--storage:path', 'data'], /node-id does not hold a node id/],
  ]
  for (const [words, expected] of cases) {
    const { code, errors } = await command(words, { folder })
    t.equal(code, 1, words.join(' '))
    t.match(errors, expected)
    t.match(errors, /^interval-server: [^\n]+\n$/, 'one line')
  }
})
