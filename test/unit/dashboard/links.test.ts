import t from 'tap'
import { clusterHref, keysHref, organizationHref, parseRoute } from '../../../lib/dashboard/links.js'

t.test('the addresses of screens lead back to them', async t => {
  const place = { organization: 'a b', environment: 'staging' }
  t.same(parseRoute(clusterHref(place)), {
    screen: 'cluster',
    place: { organization: 'a b', environment: 'production' },
  })
  t.equal(parseRoute(keysHref(place)).screen, 'keys')
  t.same(parseRoute(organizationHref(place, 'teams', 'x/y')), {
    screen: 'organization',
    place: { organization: 'a b', environment: 'production' },
    section: 'teams',
    rest: ['x/y'],
  })
  t.match(parseRoute(organizationHref(place)), { screen: 'organization', section: '', rest: [] })
  t.equal(parseRoute('/dashboard/ours/cluster/more').screen, 'not-found')
  t.equal(parseRoute('/dashboard/ours/develop/cluster').screen, 'not-found')
})
