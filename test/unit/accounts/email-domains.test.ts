/** Domains of addresses: how they are written, and how they are proven. */
import t from 'tap'
import { checkDomain, domainOf } from '../../../lib/accounts/email-domains.js'
import { testAccounts } from '../../support/database.js'
import { rejectsWith } from './rejects-with.js'

t.test('how they are written', async t => {
  t.equal(checkDomain(' @Example.COM. '), 'example.com')
  t.equal(checkDomain('bücher.example'), 'xn--bcher-kva.example')
  t.equal(domainOf('a@b@Bücher.example'), 'xn--bcher-kva.example')
  for (const text of [
    '',
    'example',
    'a b.example',
    '-a.example',
    'a..example',
    '1.2.3.4:80',
    'gmail.com',
    'x'.repeat(300),
  ]) {
    t.throws(() => checkDomain(text), text)
  }
})

t.test('proven by its record, and then nobody else’s', async t => {
  const records = new Map<string, string[]>()
  const readTxt = async (name: string): Promise<string[]> => {
    const found = records.get(name)
    if (!found) throw new Error('ENOTFOUND')
    return found
  }
  const { accounts } = await testAccounts(t, { readTxt })
  const origin = { address: '127.0.0.1', userAgent: null }
  const person = { firstName: 'A', lastName: 'B', password: 'a long enough password' }
  const one = await accounts.signUp({ ...person, email: 'one@example.com', organizationName: 'One' }, origin)
  const two = await accounts.signUp({ ...person, email: 'two@example.com', organizationName: 'Two' }, origin)
  const by = (who: typeof one) => ({ userId: who.user.id, organization: who.organization.slug, origin })
  const domainsOf = async (who: typeof one) => (await accounts.singleSignOn(by(who))).domains
  const ids: string[] = []
  for (const who of [one, two]) ids.push(await accounts.addDomain(by(who), 'example.com'))
  const [first = '', second = ''] = ids
  t.equal(await accounts.addDomain(by(one), 'EXAMPLE.com'), first, 'claimed twice is claimed once')

  await rejectsWith(t, accounts.checkDomain(by(one), first), 'conflict')
  records.set('example.com', ['v=spf1 -all', (await domainsOf(two))[0]?.record ?? ''])
  // A record of another organization.
  await rejectsWith(t, accounts.checkDomain(by(one), first), 'conflict', /no such TXT record/)
  records.set('example.com', [
    (await domainsOf(one))[0]?.record ?? '',
    (await domainsOf(two))[0]?.record ?? '',
  ])
  await accounts.checkDomain(by(one), first)
  t.match(await domainsOf(one), [{ domain: 'example.com', isVerified: true }])
  await rejectsWith(t, accounts.checkDomain(by(two), second), 'conflict', /Another organization/)
  await rejectsWith(t, accounts.checkDomain(by(two), first), 'not-found')
  await accounts.removeDomain(by(one), first)
  await accounts.checkDomain(by(two), second)
  t.match(await domainsOf(two), [{ isVerified: true }], 'given up, it may be proven by the other one')
})
