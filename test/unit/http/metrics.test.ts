/** Who may read `/metrics`. */
import t from 'tap'
import { Secret } from '../../../lib/log.js'
import { testAccounts } from '../../support/database.js'
import { testServer } from './test-server.js'

const { accounts } = await testAccounts(t)
const token = 'a token of more than sixteen characters'.replaceAll(' ', '-')
const metrics = {
  token: new Secret(token),
  text: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'interval_ready 1\n' }),
}

// Side by side, so that each has a port of its own.
const withoutToken = await testServer(t, accounts, { metrics: { ...metrics, token: null } })
const withToken = await testServer(t, accounts, { metrics, trustedProxies: ['loopback'] })
const without = await testServer(t, accounts)

t.test('this machine may, with nothing else', async t => {
  const { ask } = withoutToken
  const answer = await ask('GET', '/metrics')
  t.equal(answer.status, 200)
  t.equal(answer.text, 'interval_ready 1\n')
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const forwarded = { 'x-forwarded-for': '127.0.0.1' }
  t.equal((await ask('GET', '/metrics', { headers: forwarded })).status, 403, 'not through a proxy')
  const headers = { ...forwarded, authorization: `Bearer ${token}` }
  t.equal((await ask('GET', '/metrics', { headers })).status, 403, 'no token is no key to anything')
})

t.test('others need the token', async t => {
  const { ask } = withToken
  const from = (authorization: string) =>
    ask('GET', '/metrics', { headers: { 'x-forwarded-for': '10.1.2.3', authorization } })
  t.equal((await from(`Bearer ${token}`)).status, 200)
  for (const wrong of [`Bearer ${token}x`, 'Bearer', `Basic ${token}`, 'Bearer undefined', 'Bearer null']) {
    t.equal((await from(wrong)).status, 403, wrong)
  }
  t.notMatch((await from('Bearer x')).text, token)
})

t.test('a server without metrics has none', async t => {
  t.equal((await without.ask('GET', '/metrics')).status, 404)
})
