import t from 'tap'
import {
  type AccessChain,
  type AccessLevel,
  accessLevel,
  impliedPermissions,
  mayRun,
  roleOf,
} from '../../../lib/accounts/index.js'

const actor = (role: string, teams: string[] = [], slug = 'production') => ({
  permissions: impliedPermissions([role]),
  teams,
  environment: { id: 'environment' as never, slug, name: slug },
})
const open = { availability: 'ORGANIZATION' } as const
const support = {
  availability: 'GROUPS',
  teams: { support: 'RUNNER', audit: 'VIEWER', lead: 'ADMINISTRATOR' },
} as const

t.test('own rule, else the nearest above, else open', async t => {
  const cases: [who: ReturnType<typeof actor>, chain: AccessChain, level: AccessLevel][] = [
    [actor('ACTION_RUNNER'), [], 'run'],
    [actor('ACTION_RUNNER'), [null, null], 'run'],
    [actor('ACTION_RUNNER'), [support], 'none'],
    [actor('ACTION_RUNNER'), [null, support], 'none'],
    [actor('ACTION_RUNNER'), [open, support], 'run'],
    [actor('ACTION_RUNNER'), [null, open, support], 'run'],
    [actor('ACTION_RUNNER', ['support']), [support], 'run'],
    [actor('ACTION_RUNNER', ['audit']), [support], 'view'],
    [actor('ACTION_RUNNER', ['audit', 'lead']), [support], 'administer'],
    [actor('ACTION_RUNNER', ['toString']), [support], 'none'],
    [actor('ADMIN'), [support], 'none'],
    [actor('ADMIN', ['support']), [null, support], 'run'],
    [actor('READONLY_VIEWER'), [], 'view'],
    [actor('READONLY_VIEWER', ['lead']), [support], 'view'],
    [actor('UNKNOWN'), [], 'none'],
    [actor('ACTION_RUNNER', [], 'development'), [], 'none'],
    [actor('DEVELOPER', [], 'development'), [], 'run'],
  ]
  for (const [who, chain, level] of cases) {
    t.equal(accessLevel(who, chain), level)
    t.equal(mayRun(who, chain), level === 'run' || level === 'administer')
  }
})

t.test('roles', async t => {
  t.equal(roleOf(['ACTION_RUNNER', 'ADMIN']), 'admin')
  t.equal(roleOf(['DEVELOPER']), 'developer')
  t.equal(roleOf([]), 'member')
  t.notOk(impliedPermissions(['DEVELOPER']).has('CREATE_PROD_API_KEYS'))
  t.ok(impliedPermissions(['ADMIN']).has('CREATE_PROD_API_KEYS'))
  t.same([...impliedPermissions(['toString'])], ['toString'], 'an unknown name implies nothing')
})
