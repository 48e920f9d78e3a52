/** How the dashboard writes values, and where its addresses lead. */
import t from 'tap'
import {
  addressOf,
  dedent,
  formatCell,
  formatDateTime,
  formatResult,
  indentedJson,
  partsOf,
} from '../../../lib/dashboard/format.js'
import {
  actionHref,
  listHref,
  parseRoute,
  safeMediaUrl,
  safeUrl,
  targetOf,
} from '../../../lib/dashboard/links.js'

const plain = (text: string) => text.replace(/[\u202f\u00a0]/g, ' ')
const live = { organization: 'acme', environment: 'production' }
const inConsole = { organization: 'acme', environment: 'development' }

t.test('results are written for people', async t => {
  t.equal(formatResult(1337, 'en-US'), '1,337')
  t.equal(formatResult(12.345, 'en-US'), '12.345')
  t.equal(formatResult(5n, 'en-US'), '5n')
  t.equal(formatResult(null), '')
  t.equal(formatResult(true), 'true')
  const date = new Date(2022, 6, 20, 13, 5)
  t.equal(plain(formatDateTime(date, 'en-US')), 'Jul 20, 2022, 1:05 PM')
  t.equal(plain(formatResult(date.toJSON(), 'en-US')), 'Jul 20, 2022, 1:05 PM')
  t.equal(formatResult('2022-07-20'), '2022-07-20', 'only the exact form of toJSON is a date')
})

t.test('cells keep plain digits and show nothing as a dash', async t => {
  t.equal(formatCell(1337), '1337')
  t.equal(formatCell(null), '-')
  t.equal(formatCell({ a: 1n }), '{"a":"1n"}')
})

t.test('addresses in results become links', async t => {
  t.equal(addressOf('https://example.com'), 'https://example.com')
  t.equal(addressOf('a@b.co'), 'mailto:a@b.co')
  t.equal(addressOf('see https://example.com'), null)
  t.equal(addressOf('javascript:alert(1)'), null)
})

t.test('the blanks shared by all lines are taken away', async t => {
  t.equal(dedent('\n    # A\n\n      b\n    '), '\n# A\n\n  b\n')
  t.equal(dedent('# A\n    # B\n    c'), '# A\n# B\nc')
  t.equal(dedent('plain'), 'plain')
})

t.test('hrefs of actions are path and query alone', async t => {
  t.equal(
    actionHref(live, 'users/create', { id: 5, none: null, no: false, empty: '' }),
    '/dashboard/acme/actions/users/create?id=5',
  )
  t.equal(actionHref(inConsole, 'a b'), '/dashboard/acme/develop/actions/a%20b')
  t.equal(
    actionHref({ organization: 'acme', environment: 'staging' }, 'x'),
    '/dashboard/acme+staging/actions/x',
  )
  t.equal(listHref(inConsole), '/dashboard/acme/develop/actions')
})

t.test('addresses are read back', async t => {
  t.same(parseRoute('/dashboard/acme/'), { screen: 'live', place: live })
  t.same(parseRoute('/dashboard/acme+staging/actions/a/b'), {
    screen: 'action',
    place: { organization: 'acme', environment: 'staging' },
    slug: 'a/b',
  })
  t.same(parseRoute('/dashboard/acme/develop/actions'), { screen: 'console', place: inConsole })
  t.same(parseRoute('/dashboard/acme/develop/keys'), { screen: 'keys', place: inConsole })
  t.same(parseRoute('/transactions/abc'), { screen: 'transaction', place: null, transactionId: 'abc' })
  t.same(parseRoute('/login'), { screen: 'sign-in' })
  t.same(parseRoute('/__proto__'), { screen: 'not-found' })
  t.same(parseRoute('/dashboard/%E0%A4%A'), {
    screen: 'live',
    place: { organization: '%E0%A4%A', environment: 'production' },
  })
})

t.test('no address of a host runs script here', async t => {
  for (const url of [
    'javascript:alert(1)',
    ' JaVaScript:alert(1)',
    'java\nscript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
  ]) {
    t.equal(safeUrl(url), null, url)
  }
  t.equal(safeUrl('https://example.com'), 'https://example.com', 'byte for byte')
  t.equal(safeUrl('/relative?x=1'), '/relative?x=1')
  t.equal(safeMediaUrl('data:image/png;base64,AA'), 'data:image/png;base64,AA')
  t.equal(safeMediaUrl('data:text/html,x'), null)
  t.equal(targetOf({ url: 'javascript:x' }, live), null)
  t.same(targetOf({ action: 'x', params: { a: 1 } }, live), {
    href: '/dashboard/acme/actions/x?a=1',
    isInternal: true,
  })
})

t.test('addresses inside a text, without what belongs to the sentence', async t => {
  const addresses = (text: string) => partsOf(text).flatMap(part => part.address ?? [])
  for (const text of [
    '',
    'none',
    'see https://a.example/b?c=1, (http://d.example) <https://e.example/f.>',
    'https://x.example',
  ])
    t.equal(
      partsOf(text)
        .map(part => part.text)
        .join(''),
      text,
    )
  t.same(addresses('see https://a.example/b?c=1, (http://d.example) <https://e.example/f.>'), [
    'https://a.example/b?c=1',
    'http://d.example',
    'https://e.example/f',
  ])
  t.same(addresses('javascript:alert(1) ftp://x'), [])
})

t.test('JSON for keeping: what JSON lacks is written as what is nearest', async t => {
  t.equal(
    indentedJson({ big: 5n, map: new Map([['k', 1]]), set: new Set([1]), when: new Date(0) }),
    '{\n  "big": "5",\n  "map": {\n    "k": 1\n  },\n  "set": [\n    1\n  ],\n  "when": "1970-01-01T00:00:00.000Z"\n}',
  )
  const circle: unknown[] = []
  circle.push(circle)
  t.type(indentedJson(circle), 'string')
})
