/** The second step of signing in: what opens, what does not, and what it does to who guesses. */
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { appUrl, base32, codeOfStep, stepOfCode } from '../../../lib/accounts/one-time-codes.js'
import { createSecondFactors, type NewSecondFactor } from '../../../lib/accounts/second-factors.js'
import { testAccounts } from '../../support/database.js'
import { bytesOf } from '../../support/one-time-codes.js'
import { rejectsWith } from './rejects-with.js'

const { accounts, database, clock } = await testAccounts(t)
const origin = { address: '192.0.2.1', userAgent: 'test' }
const password = 'a good password'

async function enrolled(email: string): Promise<{ factor: NewSecondFactor; secret: Buffer }> {
  await runAdminOperation('createUser', { email, password, createOrganization: true }, { accounts })
  const factor = (await runAdminOperation('enrollMfa', { email }, { accounts })) as NewSecondFactor
  return { factor, secret: bytesOf(factor.secret) }
}

const stepNow = (): number => Math.floor(clock.nowMs() / 30_000)

t.test('codes are those of the standard', t => {
  const secret = Buffer.from('12345678901234567890')
  // RFC 6238, appendix B, the last six digits.
  const table: [seconds: number, code: string][] = [
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ]
  for (const [seconds, code] of table) t.equal(codeOfStep(secret, Math.floor(seconds / 30)), code)
  t.equal(stepOfCode(secret, '287082', 59_000, null), 1)
  t.equal(stepOfCode(secret, '287082', 89_000, null), 1, 'one step late')
  t.equal(stepOfCode(secret, '287082', 120_000, null), null, 'too late')
  t.equal(stepOfCode(secret, '287082', 59_000, 1), null, 'used')
  for (const text of ['28708', '2870822', '28708x', '', '２８７０８２']) {
    t.equal(stepOfCode(secret, text, 59_000, null), null)
  }
  t.equal(base32(Buffer.from('foobar')), 'MZXW6YTBOI')
  t.equal(
    appUrl('Us', 'a b@c', Buffer.from('foobar')),
    'otpauth://totp/Us:a%20b%40c?secret=MZXW6YTBOI&issuer=Us',
  )
  t.end()
})

t.test('the password alone opens nothing; password and code do, once', async t => {
  const { secret } = await enrolled('ann@example.com')
  const half = await accounts.signIn('ann@example.com', password, origin)
  t.equal(half.secondFactorDue, true)
  t.equal(await accounts.authenticateSession(half.token), null)
  t.same(await accounts.sessions(half.user.id), [])
  t.same(await accounts.revoked({ keys: [], sessions: [half.sessionId] }), {
    keys: [],
    sessions: [half.sessionId],
  })
  t.equal(await accounts.secondFactorDue(half.token), true)
  const code = codeOfStep(secret, stepNow())
  const entered = await Promise.allSettled(
    [1, 2, 3].map(() =>
      accounts.enterSecondFactor(half.token, ` ${code.slice(0, 3)} ${code.slice(3)}`, origin),
    ),
  )
  const opened = entered.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  t.equal(opened.length, 1, 'however many bring it at once')
  const session = opened[0]
  t.not(session?.token, half.token)
  t.equal((await accounts.authenticateSession(session?.token))?.user.email, 'ann@example.com')
  await rejectsWith(t, accounts.enterSecondFactor(half.token, code, origin), 'not-signed-in')
  const again = await accounts.signIn('ann@example.com', password, origin)
  await rejectsWith(t, accounts.enterSecondFactor(again.token, code, origin), 'bad-credentials')
  clock.advance(30_000)
  t.ok(await accounts.enterSecondFactor(again.token, codeOfStep(secret, stepNow()), origin))
})

t.test('a recovery code opens once, written either way', async t => {
  const { factor } = await enrolled('bea@example.com')
  t.equal(new Set(factor.recoveryCodes).size, 10)
  const [code = ''] = factor.recoveryCodes
  t.match(code, /^[a-z2-7]{5}-[a-z2-7]{5}$/)
  const one = await accounts.signIn('bea@example.com', password, origin)
  t.ok(await accounts.enterSecondFactor(one.token, code.toUpperCase().replace('-', ' '), origin))
  const two = await accounts.signIn('bea@example.com', password, origin)
  await rejectsWith(t, accounts.enterSecondFactor(two.token, code, origin), 'bad-credentials')
})

t.test('guessing: five in one session, ten for one account, and the half session ends by itself', async t => {
  const { secret } = await enrolled('cec@example.com')
  const guess = (token: string) => accounts.enterSecondFactor(token, '000000', origin)
  const first = await accounts.signIn('cec@example.com', password, origin)
  for (let count = 0; count < 5; count += 1) await rejectsWith(t, guess(first.token), 'bad-credentials')
  const right = codeOfStep(secret, stepNow())
  await rejectsWith(
    t,
    accounts.enterSecondFactor(first.token, right, origin),
    'not-signed-in',
    /password first/,
  )
  t.equal(await accounts.secondFactorDue(first.token), false)
  const second = await accounts.signIn('cec@example.com', password, origin)
  for (let count = 0; count < 4; count += 1) await rejectsWith(t, guess(second.token), 'bad-credentials')
  await rejectsWith(t, accounts.enterSecondFactor(second.token, right, origin), 'too-many-requests')
  clock.advance(600_001)
  await rejectsWith(t, accounts.enterSecondFactor(second.token, right, origin), 'not-signed-in')
  await accounts.audits.flush()
  const reasons = (await accounts.audits.list({ name: 'session.refused' })).map(
    ({ details }) => details.reason,
  )
  for (const reason of ['wrong code', 'too many codes', 'too many failures'])
    t.ok(reasons.includes(reason), reason)
})

t.test('secrets are stored sealed, and another server cannot open them', async t => {
  const { factor, secret } = await enrolled('dan@example.com')
  const { rows } = await database.query<{ person_id: string; text: string }>(
    'select person_id, second_factors::text as text from second_factors where id = $1',
    [factor.id],
  )
  t.notMatch(rows[0]?.text, factor.secret)
  for (const code of factor.recoveryCodes) t.notOk(rows[0]?.text.includes(code))
  const personId = rows[0]?.person_id as never
  const code = codeOfStep(secret, stepNow())
  t.equal(await createSecondFactors('another').use(database, personId, code, clock.nowMs()), null)
  t.equal(await accounts.secondFactors.use(database, personId, code, clock.nowMs()), 'code')
})
