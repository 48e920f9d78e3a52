import t from 'tap'
import type { Directory } from '../../../lib/clients/wire.js'
import type { Session } from '../../../lib/dashboard/api.js'
import { commandsOf, fittingCommands } from '../../../lib/dashboard/commands.js'
import { SingleKeys } from '../../../lib/dashboard/single-keys.js'

const action = (slug: string, name: string, more: object = {}) => ({
  slug,
  parent: slug.includes('/') ? (slug.split('/')[0] ?? null) : null,
  name,
  description: null,
  unlisted: false,
  backgroundable: false,
  warnOnClose: true,
  online: true,
  ...more,
})
const directory: Directory = {
  hosts: 1,
  actions: [
    action('users/invite', 'Invite somebody'),
    action('refund', 'Refund a payment'),
    action('hidden', 'Hidden', { unlisted: true }),
    action('away', 'Away', { online: false }),
  ],
  pages: [
    {
      slug: 'users',
      parent: null,
      name: 'Users',
      description: null,
      unlisted: false,
      hasHandler: false,
      mayOpen: false,
      online: false,
    },
  ],
}
const environment = (slug: string, name: string) => ({ slug, name, color: null })
const session: Session = {
  user: {
    id: 'u',
    email: 'ann@example.com',
    firstName: null,
    lastName: null,
    emailConfirmed: true,
    timeZone: null,
  },
  isOperator: true,
  organizations: [
    {
      id: 'o',
      slug: 'ours',
      name: 'Ours',
      role: 'admin',
      permissions: ['READ_ORG_SETTINGS', 'CREATE_DEV_API_KEYS'],
      lacksSecondFactor: false,
      environments: [environment('production', 'Production'), environment('development', 'Development')],
    },
    {
      id: 'p',
      slug: 'others',
      name: 'Others',
      role: 'member',
      permissions: [],
      lacksSecondFactor: false,
      environments: [environment('production', 'Production'), environment('staging', 'Staging')],
    },
  ],
}
const commands = commandsOf({ organization: 'ours', environment: 'production' }, directory, session, true)
const labels = (query: string) => fittingCommands(commands, query).map(command => command.label)

t.test('everything one can go to, once; nothing hidden or offline', t => {
  t.same(
    commands.map(({ label, hint }) => `${label} (${hint})`),
    [
      'Invite somebody (Users)',
      'Refund a payment (Live)',
      'Users (Live)',
      'Live actions (Ours)',
      'Console (Ours)',
      'API keys (Ours)',
      'Environments (Ours)',
      'Serverless hosts (Ours)',
      'Settings (Ours)',
      'Cluster (Nodes)',
      'Live actions (Others)',
      'Staging (Others)',
      'Console (Others)',
      'Your account (ann@example.com)',
      'Switch single keys off (/ commands, g h home, g s account)',
      'Sign out (ann@example.com)',
    ],
  )
  t.equal(new Set(commands.map(({ id }) => id)).size, commands.length)
  t.equal(commands[0]?.href, '/dashboard/ours/actions/users/invite')
  t.end()
})

t.test('beginnings of words find, in any order; what begins with it comes first', t => {
  t.same(labels('pay ref'), ['Refund a payment'])
  t.same(labels('us'), ['Users', 'Invite somebody'])
  t.same(labels('console oth'), ['Console'])
  t.same(labels('nothing'), [])
  t.equal(labels('').length, commands.length)
  t.end()
})

t.test('of many, actions give way to what is not found by its name', t => {
  const many = {
    ...directory,
    actions: Array.from({ length: 80 }, (_none, index) => action(`a${index}`, `Action ${index}`)),
  }
  const tools = { ...session, developmentTools: true }
  const all = commandsOf({ organization: 'ours', environment: 'production' }, many, tools, true)
  const found = fittingCommands(all, '')
  t.equal(found.length, 50)
  for (const label of ['Simulate Interval restart', 'Sign out', 'Your account', 'Action 0'])
    t.ok(
      found.some(command => command.label === label),
      label,
    )
  t.same(
    found.map(({ id }) => all.findIndex(command => command.id === id)),
    found.map(({ id }) => all.findIndex(command => command.id === id)).sort((a, b) => a - b),
    'in the same order',
  )
  t.end()
})

t.test('two keys belong together for a second', async t => {
  const keys = new SingleKeys()
  const goals = (...pressed: [string, number][]) => pressed.map(([key, atMs]) => keys.press(key, atMs))
  t.same(goals(['/', 0], ['h', 10], ['s', 20]), ['commands', null, null])
  t.same(goals(['g', 100], ['h', 1_100]), [null, 'home'])
  t.same(goals(['g', 2_000], ['s', 2_100], ['s', 2_200]), [null, 'account', null])
  t.same(goals(['g', 3_000], ['h', 4_001]), [null, null])
  t.same(goals(['g', 5_000], ['x', 5_100], ['h', 5_200]), [null, null, null])
})
