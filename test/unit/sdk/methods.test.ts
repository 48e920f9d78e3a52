import t from 'tap'
import {
  isActionSlug,
  isPageSlug,
  parseHostReturn,
  parseIoCall,
  parsePageLayout,
  parseServerCall,
  parseTransactionResult,
  SdkVersion,
} from '../../../lib/sdk/index.js'

const parsed = (method: string, data: unknown) => parseServerCall(method, data).data

t.test('calls of all SDKs come out in one form', async t => {
  const cases: [string, unknown, unknown][] = [
    [
      'SEND_IO_CALL',
      { transactionId: 't', ioCall: '{}', skipClientCall: false },
      { transactionId: 't', ioCall: '{}' },
    ],
    [
      'SEND_LOADING_CALL',
      { transactionId: 't', title: 'Old' },
      { transactionId: 't', loading: { label: 'Old' } },
    ],
    [
      'SEND_LOADING_CALL',
      { transactionId: 't', label: null, description: null, itemsInQueue: 5, itemsCompleted: null },
      { loading: { label: null, description: null, itemsInQueue: 5, itemsCompleted: null } },
    ],
    [
      'SEND_LOG',
      { transactionId: 't', data: 'x', index: null },
      { transactionId: 't', data: 'x', index: undefined },
    ],
    ['SEND_PAGE', { pageKey: 'p', page: null }, { pageKey: 'p', page: undefined }],
    [
      'SEND_REDIRECT',
      { transactionId: 't', action: 'a/b', params: { n: 1 } },
      { redirect: { route: 'a/b', params: { n: 1 } } },
    ],
    [
      'SEND_REDIRECT',
      { transactionId: 't', route: 'a', replace: true },
      { redirect: { route: 'a', replace: true } },
    ],
    [
      'SEND_REDIRECT',
      { transactionId: 't', url: 'https://a.b', route: null },
      { redirect: { url: 'https://a.b' } },
    ],
    ['MARK_TRANSACTION_COMPLETE', { transactionId: 't' }, { transactionId: 't' }],
    ['BEGIN_HOST_SHUTDOWN', undefined, {}],
    ['BEGIN_HOST_SHUTDOWN', { skipClientCall: false }, {}],
    [
      'NOTIFY',
      { transactionId: 't', message: 'm', deliveryInstructions: null, createdAt: 'now' },
      { message: 'm' },
    ],
  ]
  for (const [method, input, expected] of cases) t.match(parsed(method, input), expected as object, method)
})

t.test('wrong input is refused by path and without the value', async t => {
  const cases: [string, unknown][] = [
    ['SEND_IO_CALL', { transactionId: 't', ioCall: { secret: 'swordfish' } }],
    ['SEND_IO_CALL', { ioCall: '' }],
    ['SEND_IO_CALL', 'swordfish'],
    ['SEND_LOG', { transactionId: 't', data: null }],
    ['SEND_REDIRECT', { transactionId: 't' }],
    ['MARK_TRANSACTION_COMPLETE', { transactionId: 't', resultStatus: 'swordfish' }],
    ['INITIALIZE_HOST', { actions: [{ slug: 1 }] }],
    ['INITIALIZE_HOST', { actions: Array.from({ length: 5_001 }, () => ({ slug: 'a' })) }],
  ]
  for (const [method, input] of cases) {
    try {
      parsed(method, input)
      t.fail(method)
    } catch (error) {
      t.match(error, { code: 'invalid-value' }, method)
      t.notMatch(String(error), /swordfish/)
    }
  }
  t.throws(() => parsed('toString', {}), { code: 'not-found' })
})

t.test('declarations are normalised, bad slugs set aside', async t => {
  const declared = parsed('INITIALIZE_HOST', {
    sdkName: '@interval/sdk',
    sdkVersion: '2.0.0',
    apiKey: 'never looked at',
    timestamp: 5,
    actions: [
      {
        slug: 'create',
        groupSlug: 'users/admin',
        name: 'Create',
        warnOnClose: false,
        access: { teams: null },
      },
      { slug: 'create', groupSlug: 'users/admin', access: 'entire-organization' },
      { slug: 'a/b' },
      { slug: '' },
      { slug: 'x', groupSlug: 'a//b' },
    ],
    groups: [
      { slug: 'users/admin', name: 'Users', hasIndex: true },
      { slug: '/users', name: 'No' },
      { slug: 'a//b', name: 'No' },
    ],
  })
  t.same(declared, {
    sdkName: '@interval/sdk',
    sdkVersion: '2.0.0',
    requestId: undefined,
    timestamp: 5,
    actions: [
      {
        slug: 'users/admin/create',
        groupSlug: 'users/admin',
        name: null,
        description: null,
        backgroundable: false,
        unlisted: false,
        warnOnClose: true,
        access: 'entire-organization',
      },
    ],
    pages: [
      {
        slug: 'users/admin',
        name: 'Users',
        description: null,
        hasHandler: true,
        unlisted: false,
        access: null,
      },
    ],
    invalidSlugs: ['/users', 'a//b', 'a/b', '', 'a//b/x'],
  })
  t.match(parsed('INITIALIZE_HOST', { callableActionNames: ['a', 'b c'] }), {
    actions: [{ slug: 'a', groupSlug: null }],
    invalidSlugs: ['b c'],
  })
  t.ok(isActionSlug('A-b_c.9'))
  t.notOk(isActionSlug('a/b'))
  t.ok(isPageSlug('a/b/c'))
  for (const slug of ['', '/', 'a/', '/a', 'a//b', 'a b', 'a'.repeat(513)])
    t.notOk(isPageSlug(slug), slug.slice(0, 9))
})

t.test('answers of hosts are parsed', async t => {
  t.equal(parseHostReturn('IO_RESPONSE', undefined), undefined)
  t.equal(parseHostReturn('IO_RESPONSE', null), undefined)
  t.same(parseHostReturn('OPEN_PAGE', { type: 'SUCCESS', pageKey: 'p', more: 1 }), {
    type: 'SUCCESS',
    pageKey: 'p',
  })
  t.match(parseHostReturn('OPEN_PAGE', { type: 'ERROR', message: null }), { type: 'ERROR' })
  t.throws(() => parseHostReturn('OPEN_PAGE', null), { code: 'invalid-value' })
})

const id = '7b0a5c1e-9c2f-4c53-9d0e-0123456789ab'
const call = (toRender: unknown, more: object = {}) =>
  JSON.stringify({ id, inputGroupKey: id, kind: 'RENDER', toRender, ...more })

t.test('IO calls: Python nulls, missing flags of 0.21 and unknown methods are fine', async t => {
  const text = call(
    [
      { methodName: 'INPUT_TEXT', label: 'Name', props: {}, isStateful: false, isOptional: true },
      {
        methodName: 'INPUT_HOLOGRAM',
        label: 'Later',
        props: null,
        propsMeta: null,
        isStateful: null,
        isMultiple: null,
        multipleProps: null,
        validationErrorMessage: null,
      },
    ],
    { validationErrorMessage: null, continueButton: { label: 'Go', theme: 'neon' }, choiceButtons: null },
  )
  t.match(parseIoCall(text), {
    id,
    toRender: [
      { methodName: 'INPUT_TEXT', isOptional: true, isMultiple: false },
      { methodName: 'INPUT_HOLOGRAM', props: {}, isStateful: false, multipleProps: null },
    ],
    continueButton: { label: 'Go', theme: null },
    choiceButtons: null,
  })
  t.match(parseIoCall(call([], { choiceButtons: [{ label: 'Yes' }] })).choiceButtons, [{ value: 'Yes' }])
})

t.test('IO calls that cannot be shown are refused, and never as a bad frame', async t => {
  const broken = [
    '',
    '[]',
    '{}',
    call(null),
    call([null]),
    call([{ methodName: 'INPUT_TEXT', label: { error: 'oops' }, props: {} }]),
    call([{ methodName: 'input', label: '' }]),
    call([{ methodName: 'SELECT_SINGLE', label: '', props: { options: 'all' } }]),
    call([{ methodName: 'DISPLAY_TABLE', label: '', props: {} }]),
    call([{ methodName: 'INPUT_TEXT', label: '', props: [] }]),
    call([{ methodName: 'INPUT_TEXT', label: '', isOptional: 'yes' }]),
    call([], { kind: 'BURN' }),
    call([], { id: '' }),
    `${'['.repeat(10_000)}`,
  ]
  for (const text of broken) t.throws(() => parseIoCall(text), { code: 'invalid-value' }, text.slice(0, 60))
  t.throws(() => parseIoCall(call(Array.from({ length: 1_001 }, () => ({})))), { code: 'too-large' })
})

t.test('page layouts keep absent and loading apart', async t => {
  const layout = parsePageLayout(JSON.stringify({ kind: 'BASIC', title: null, metadata: { json: {} } }))
  t.equal(layout.title, null)
  t.notOk('description' in layout)
  t.match(
    parsePageLayout(
      JSON.stringify({
        kind: 'BASIC',
        title: 'T',
        menuItems: [{ label: 'x' }],
        children: JSON.parse(call([{ methodName: 'DISPLAY_MARKDOWN', label: '# hi' }])),
        errors: [{ error: 'Error', message: 'm', layoutKey: 'nowhere', cause: null }],
      }),
    ),
    { children: { toRender: [{ label: '# hi' }] }, errors: [{ message: 'm', layoutKey: null }] },
  )
  for (const text of [
    '{}',
    '{"kind":"FANCY"}',
    '{"kind":"BASIC","title":1}',
    '{"kind":"BASIC","errors":{}}',
  ]) {
    t.throws(() => parsePageLayout(text), { code: 'invalid-value' }, text)
  }
})

t.test('results are read from wherever an SDK puts them', async t => {
  const result = (value: object) => JSON.stringify(value)
  t.same(parseTransactionResult({}), { status: 'SUCCESS', data: null })
  t.same(parseTransactionResult({ resultStatus: 'CANCELED' }), { status: 'CANCELED', data: null })
  t.same(parseTransactionResult({ result: result({ schemaVersion: 0, status: 'FAILURE', data: null }) }), {
    status: 'FAILURE',
    data: null,
  })
  t.same(
    parseTransactionResult({
      resultStatus: 'SUCCESS',
      result: result({ status: 'SUCCESS', data: { a: 1 }, meta: { values: {} } }),
    }),
    { status: 'SUCCESS', data: { a: 1 }, meta: { values: {} } },
  )
  t.throws(() => parseTransactionResult({ result: '{' }), { code: 'invalid-value' })
  t.throws(() => parseTransactionResult({ result: '{"status":"MAYBE"}' }), { code: 'invalid-value' })
})

t.test('versions are compared as versions', async t => {
  const gates = (name: string | null, version: string | null) => {
    const sdk = new SdkVersion(name, version)
    return [
      sdk.structuredInitError,
      sdk.codePermissions,
      sdk.displayResolvesImmediately,
      sdk.closeTransaction,
      sdk.pages,
      sdk.environmentSlug,
      sdk.ioCallErrorObject,
    ].map(Number)
  }
  const node = '@interval/sdk'
  const cases: [string | null, string | null, number[]][] = [
    [node, '0.17.9', [0, 0, 0, 0, 0, 0, 0]],
    [node, '0.21.0', [1, 0, 0, 0, 0, 0, 0]],
    [node, '0.38.0', [1, 1, 1, 1, 1, 0, 0]],
    [node, '0.38.1', [1, 1, 1, 1, 1, 1, 0]],
    [node, '1.4.0', [1, 1, 1, 1, 1, 1, 1]],
    [node, '2.0.0', [1, 1, 1, 1, 1, 1, 1]],
    [node, '10.0.0', [1, 1, 1, 1, 1, 1, 1]],
    [node, null, [0, 0, 0, 0, 0, 0, 0]],
    [null, null, [0, 0, 0, 0, 0, 0, 0]],
    [node, 'workspace', [1, 1, 1, 1, 1, 1, 1]],
    ['interval-py', '???', [1, 0, 1, 1, 1, 1, 1]],
    ['interval-py', '0.1.0', [1, 0, 1, 1, 1, 1, 1]],
  ]
  for (const [name, version, expected] of cases) t.same(gates(name, version), expected, `${name} ${version}`)
  const old = new SdkVersion(node, '0.38.0')
  t.equal(old.environmentFor('production'), 'live')
  t.equal(old.environmentFor('staging'), 'live')
  t.equal(old.environmentFor('development'), 'development')
  t.equal(old.sendIoCallFailure('no'), false)
  const current = new SdkVersion(node, '2.0.0')
  t.equal(current.environmentFor('staging'), 'staging')
  t.same(current.sendIoCallFailure('no'), { type: 'ERROR', message: 'no' })
  t.notOk(new SdkVersion(node, '0.21.0').supports('OPEN_PAGE'))
  t.notOk(new SdkVersion(node, '0.21.0').supports('CLOSE_TRANSACTION'))
  t.ok(new SdkVersion(node, '0.21.0').supports('IO_RESPONSE'))
})

t.test(
  'a log line at an impossible place or time is kept without them; notifications are as small as over HTTP',
  async t => {
    const line = (part: object) => parsed('SEND_LOG', { transactionId: 't', data: 'x', ...part })
    for (const index of [-1, 1_000_000_001, Number.MAX_SAFE_INTEGER])
      t.match(line({ index }), { index: undefined, data: 'x' }, String(index))
    for (const timestamp of [-1, 8.64e15, 1e300])
      t.match(line({ timestamp }), { timestamp: undefined, data: 'x' }, String(timestamp))
    t.match(line({ index: 7, timestamp: 1_700_000_000_000 }), { index: 7, timestamp: 1_700_000_000_000 })
    const notify = (part: object) => () => parsed('NOTIFY', { transactionId: 't', message: 'm', ...part })
    t.ok(notify({ deliveryInstructions: [{ to: 'a@b.c' }] })())
    for (const part of [
      { message: 'm'.repeat(10_001) },
      { title: 't'.repeat(1_001) },
      { deliveryInstructions: [{ to: 'x'.repeat(321) }] },
      { deliveryInstructions: Array.from({ length: 101 }, () => ({ to: 'a@b.c' })) },
    ])
      t.throws(notify(part), { code: 'invalid-value' }, Object.keys(part)[0] ?? '')
  },
)
