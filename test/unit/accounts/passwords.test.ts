import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import t from 'tap'
import { HashQueue, stranger, trusted, unhurried } from '../../../lib/accounts/hash-queue.js'
import { checkNewPassword, createPasswords, recommendedParameters } from '../../../lib/accounts/passwords.js'
import { rejectsWith } from './rejects-with.js'

const weak = { cost: 2 ** 10, blockSize: 8, parallelization: 1 }

t.test('the stored text names strong parameters', async t => {
  t.same(recommendedParameters, { cost: 2 ** 15, blockSize: 8, parallelization: 3 })
  const passwords = createPasswords({ hashesMax: 2, queueMax: 8 })
  const [one, other] = await Promise.all([passwords.hash('same password'), passwords.hash('same password')])
  t.match(one, /^scrypt\$N=32768,r=8,p=3\$[\w-]{22}\$[\w-]{43}$/)
  t.not(one, other, 'each has its own salt')
  t.same(await passwords.verify('same password', one, trusted), { matches: true, outdated: false })
  t.same(await passwords.verify('other password', one, trusted), { matches: false, outdated: false })
  const old = await createPasswords({ hashesMax: 1, queueMax: 1, parameters: weak }).hash(
    'same password',
    trusted,
  )
  t.same(await passwords.verify('same password', old, trusted), { matches: true, outdated: true })
  t.same(await passwords.verify('x', null, trusted), { matches: false, outdated: false })
  t.same(await passwords.verify('x', 'not a hash', trusted), { matches: false, outdated: false })
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

t.test('a hash gives way to everything else, and one that fails costs nobody else theirs', async t => {
  const strong = createPasswords({ hashesMax: 1, queueMax: 1 })
  const broken = createPasswords({ hashesMax: 1, queueMax: 1, parameters: { ...weak, cost: 3 } })
  await rejectsWith(t, broken.hash('a password'), 'unavailable')
  const hashed = await strong.hash('a password')
  t.same(await strong.verify('a password', hashed, trusted), { matches: true, outdated: false })
  if (process.platform !== 'linux') return
  const priorities = readdirSync('/proc/self/task').map(thread => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')')).split(' ')[17])
  })
  t.equal(Math.max(...priorities), 5)
  t.equal(Math.min(...priorities), getPriority(), 'all others are as they were')
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

t.test('who is known waits behind no stranger, and who has asked least goes first', async t => {
  const queue = new HashQueue({ hashesMax: 2, queueMax: 3 })
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const run = (name: string, rank: number): Promise<string> =>
    queue.run(rank, () => {
      begun.push(name)
      return new Promise(resolve => ends.set(name, () => resolve(name)))
    })
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.()
    await new Promise(setImmediate)
  }
  const all: Promise<string>[] = []
  const guesser = run('guesser', stranger)
  const late = run('late', unhurried)
  all.push(guesser, run('often', stranger + 5), run('once', stranger + 1))
  t.same(begun, ['guesser'], 'strangers leave a place free')
  all.push(run('ann', trusted), run('bob', trusted))
  t.same(begun, ['guesser', 'ann'])
  await rejectsWith(t, late, 'too-many-requests')
  t.throws(() => queue.requireRoom(stranger + 5), { code: 'too-many-requests' })
  await rejectsWith(t, run('more', stranger + 5), 'too-many-requests')
  queue.requireRoom(stranger)
  await end('guesser')
  t.same(begun, ['guesser', 'ann', 'bob'])
  await end('ann')
  t.same(begun, ['guesser', 'ann', 'bob'], 'the place of the known stays theirs')
  await end('bob')
  await end('once')
  await end('often')
  t.same(begun, ['guesser', 'ann', 'bob', 'once', 'often'])
  t.same(await Promise.all(all), ['guesser', 'often', 'once', 'ann', 'bob'])
  const failed = queue.run(stranger, async () => {
    throw new Error('it broke')
  })
  await t.rejects(failed, { message: 'it broke' })
  t.equal(await queue.run(stranger, async () => 'goes on'), 'goes on')
})
