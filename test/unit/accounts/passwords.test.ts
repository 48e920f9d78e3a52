import t from 'tap'
import { checkNewPassword, createPasswords, recommendedParameters } from '../../../lib/accounts/passwords.js'
import { rejectsWith } from './rejects-with.js'

const weak = { cost: 2 ** 10, blockSize: 8, parallelization: 1 }

t.test('the stored text names strong parameters', async t => {
  t.same(recommendedParameters, { cost: 2 ** 15, blockSize: 8, parallelization: 3 })
  const passwords = createPasswords({ hashesMax: 2, queueMax: 8 })
  const [one, other] = await Promise.all([passwords.hash('same password'), passwords.hash('same password')])
  t.match(one, /^scrypt\$N=32768,r=8,p=3\$[\w-]{22}\$[\w-]{43}$/)
  t.not(one, other, 'each has its own salt')
  t.same(await passwords.verify('same password', one), { matches: true, outdated: false })
  t.same(await passwords.verify('other password', one), { matches: false, outdated: false })
  const old = await createPasswords({ hashesMax: 1, queueMax: 1, parameters: weak }).hash('same password')
  t.same(await passwords.verify('same password', old), { matches: true, outdated: true })
  t.same(await passwords.verify('x', null), { matches: false, outdated: false })
  t.same(await passwords.verify('x', 'not a hash'), { matches: false, outdated: false })
})

t.test('few at once, few waiting', async t => {
  const passwords = createPasswords({ hashesMax: 1, queueMax: 1, parameters: weak })
  const results = await Promise.allSettled([1, 2, 3, 4].map(() => passwords.hash('a password')))
  t.same(
    results.map(result => result.status),
    ['fulfilled', 'fulfilled', 'rejected', 'rejected'],
  )
  t.ok(await passwords.hash('a password'), 'and then goes on')
})

t.test('what may be a password', async t => {
  const refused = ['short', '12345678', 'Password1', 'me@example.com', 'x'.repeat(1_001), '']
  for (const password of refused) {
    await rejectsWith(t, (async () => checkNewPassword(password, 'Me@example.com'))(), 'invalid-value')
  }
  for (const password of ['correct horse', 'x'.repeat(64), 'x'.repeat(1_000), 'päßwörtér!']) {
    checkNewPassword(password, 'me@example.com')
  }
})
