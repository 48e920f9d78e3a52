/** Nearest names, masked addresses, the documentation tables. */
import t from 'tap'
import {
  environmentTable,
  keyTable,
  maskAddress,
  nearest,
  readCommandLine,
} from '../../../lib/config/index.js'
import { editDistance } from '../../../lib/config/nearest.js'

t.test('the edit distance counts insertions, deletions, substitutions and swaps', async t => {
  const cases: [string, string, number][] = [
    ['', '', 0],
    ['port', 'port', 0],
    ['prot', 'port', 1],
    ['por', 'port', 1],
    ['ports', 'port', 1],
    ['pork', 'port', 1],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
  ]
  for (const [a, b, distance] of cases) t.equal(editDistance(a, b), distance, `${a} → ${b}`)
  t.equal(nearest('DOCTR', ['run', 'doctor', 'config']), 'doctor')
  t.equal(nearest('x', []), null)
})

t.test('passwords in addresses are masked wherever they stand', async t => {
  t.equal(maskAddress('postgres://me:pw@db:5432/x'), 'postgres://me:***@db:5432/x')
  t.equal(
    maskAddress('postgres://db/x?password=pw&sslmode=require'),
    'postgres://db/x?password=***&sslmode=***',
  )
  t.equal(maskAddress('postgres://me@db/x'), 'postgres://me@db/x')
  t.equal(maskAddress('not an address with pw'), '***')
})

t.test('flags may stand before and after words, and of commands beside keys', async t => {
  const own = [
    { name: 'json', takesValue: false, description: '' },
    { name: 'conf', takesValue: true, description: '' },
  ]
  const line = readCommandLine(['--port', '1', 'state', '--json', 'list', '--conf', 'x', '--', '--y'], own)
  t.same(line.words, ['state', 'list', '--y'])
  t.equal(line.commandFlags.get('json'), true)
  t.equal(line.commandFlags.get('conf'), 'x')
  t.equal(line.flags.values.get('port')?.raw, '1')
})

t.test('every variable of the original has a row', async t => {
  const table = environmentTable()
  const names =
    'APP_URL DATABASE_URL SECRET WSS_API_SECRET AUTH_COOKIE_SECRET PORT GIT_COMMIT POSTMARK_API_KEY EMAIL_FROM ' +
    'WORKOS_API_KEY WORKOS_CLIENT_ID WORKOS_WEBHOOK_SECRET SLACK_CLIENT_ID SLACK_CLIENT_SECRET S3_KEY_ID S3_KEY_SECRET ' +
    'S3_BUCKET S3_REGION S3_ENDPOINT NODE_ENV LOG_LEVEL GHOST_MODE SDK_VERSION TEST_UPLOADS TEST_RECONNECT HEADED CI PLAYWRIGHT_*'
  for (const name of names.split(' ')) t.match(table, `| \`${name}\` `)
  t.match(keyTable(), '`--storage:path`')
})
