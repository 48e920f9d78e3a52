import { SuperJSON } from 'superjson'
import t from 'tap'
import { cancelText, type IoCall, type IoComponent, validateAnswer } from '../../../lib/sdk/index.js'

const superjson = new SuperJSON()
const id = '7b0a5c1e-9c2f-4c53-9d0e-0123456789ab'

function component(methodName: string, props: unknown = {}, more: Partial<IoComponent> = {}): IoComponent {
  const { json, meta } = superjson.serialize(props)
  return {
    methodName,
    label: 'Label',
    props: json as Record<string, unknown>,
    ...(meta !== undefined && { propsMeta: meta }),
    isStateful: false,
    isOptional: false,
    isMultiple: false,
    ...more,
  }
}

function call(toRender: IoComponent[], more: Partial<IoCall> = {}): IoCall {
  return { id, inputGroupKey: 'group', kind: 'RENDER', toRender, ...more }
}

/** What the host would read: decoded values, or the messages. */
function answer(ioCall: IoCall, values: unknown[], choice?: string, kind: 'RETURN' | 'SET_STATE' = 'RETURN') {
  const { json, meta } = superjson.serialize(values)
  const checked = validateAnswer(ioCall, { kind, values: json as unknown[], valuesMeta: meta, choice }, 'tx')
  if (!checked.ok) return { fields: checked.fields }
  const sent = JSON.parse(checked.value)
  return { values: superjson.deserialize({ json: sent.values, meta: sent.valuesMeta }), sent }
}

const optional = { isOptional: true }
const multiple = { isMultiple: true }
const required = 'This field is required.'
const day = new Date('2022-07-20T00:00:00.000Z')
const options = ['A', 1, true, { label: 'Ed', value: '1', description: 'd', extra: 1 }, day]
const fileValue = { name: 'a.PNG', type: 'image/png', lastModified: 1, size: 2, url: 'https://x.y/f' }
const july = { year: 2022, month: 7, day: 20 }

t.test('values that are accepted, as the host gets them', async t => {
  const cases: [IoComponent, unknown, unknown?][] = [
    [component('DISPLAY_TABLE', { data: [] }), 'anything', null],
    [component('INPUT_TEXT'), 'hello'],
    [component('INPUT_TEXT'), '12:34:56'],
    [component('INPUT_TEXT', {}, optional), '', undefined],
    [component('INPUT_TEXT', {}, optional), null, undefined],
    [component('INPUT_TEXT', {}, optional), undefined],
    [component('INPUT_TEXT', { minLength: null, maxLength: null }), 'x'],
    [component('INPUT_EMAIL'), ' a@b.co ', 'a@b.co'],
    [component('INPUT_NUMBER', { min: 13 }), 13],
    [component('INPUT_NUMBER', { decimals: 2 }), 1.25],
    [component('INPUT_NUMBER', { currency: 'USD' }), 9.99],
    [component('INPUT_NUMBER', { currency: 'USD', decimals: 3 }), 9.999],
    [component('INPUT_NUMBER', { max: Number.POSITIVE_INFINITY }), 5],
    [component('INPUT_NUMBER'), -0],
    [component('INPUT_SLIDER', { min: 9, max: 10, step: 0.1 }), 9.1],
    [component('INPUT_URL'), 'https://example.com'],
    [component('INPUT_URL', { allowedProtocols: ['mailto:'] }), 'mailto:a@b.c'],
    [component('INPUT_BOOLEAN'), null, false],
    [component('INPUT_BOOLEAN'), true],
    [component('INPUT_BOOLEAN', {}, optional), null, undefined],
    [component('INPUT_RICH_TEXT'), '<p>hi</p>'],
    [component('INPUT_DATE', { min: july, max: july }), { ...july, jsDate: 'dropped' }, july],
    [component('INPUT_DATE', { min: null }), { year: 2024, month: 2, day: 29 }],
    [component('INPUT_TIME'), { hour: 0, minute: 0 }],
    [component('INPUT_DATETIME'), { ...july, hour: 13, minute: 5 }],
    [
      component('INPUT_SPREADSHEET', { columns: { a: 'string', n: 'number?', b: 'boolean' } }),
      [{ a: 'x', n: null, b: null, more: 1 }],
      [{ a: 'x', b: false }],
    ],
    [component('UPLOAD_FILE', { allowedExtensions: ['.png'] }), { ...fileValue, path: '/etc' }, fileValue],
    [
      component('UPLOAD_FILE', { fileUrls: [{ uploadUrl: 'u', downloadUrl: 'd' }] }),
      { ...fileValue, url: 'd' },
    ],
    [component('UPLOAD_FILE', {}, multiple), [fileValue, fileValue]],
    [component('SEARCH', { results: [{ label: 'x', value: '3:0' }] }), '3:0'],
    [component('SEARCH', { results: [{ label: 'x', value: '3:0' }] }), '1:7'],
    [component('SEARCH', { results: [] }), 'default:0'],
    [component('SEARCH', { results: [] }, multiple), ['0:0', '0:1']],
    [component('SEARCH', { results: [] }, { ...multiple, ...optional }), [], undefined],
    [component('CONFIRM'), false],
    [component('CONFIRM_IDENTITY'), true],
    [
      component('SELECT_TABLE', { data: [] }),
      [{ key: '7', data: { secret: 1 } }, { key: '7' }],
      [{ key: '7' }],
    ],
    [component('SELECT_TABLE', { data: [] }), null, []],
    [component('SELECT_SINGLE', { options }), { label: 'forged', value: 1 }, { label: 1, value: 1 }],
    [component('SELECT_SINGLE', { options }), '1', { label: 'Ed', value: '1' }],
    [component('SELECT_SINGLE', { options }), day, { label: day, value: day }],
    [component('SELECT_SINGLE', { options }), { label: day, value: day }, { label: day, value: day }],
    [component('SELECT_MULTIPLE', { options }), [{ value: true }, { value: 'A' }], [true, 'A'].map(both)],
    [component('SELECT_MULTIPLE', { options }), null, []],
    [component('SELECT_MULTIPLE', { options, minSelections: 1 }, optional), null, undefined],
    [component('CREDENTIALS'), { token: 't', secret: null }, { token: 't' }],
    [component('INPUT_HOLOGRAM', {}, optional), 'x', undefined],
  ]
  for (const row of cases) {
    const [field, given] = row
    const expected = row.length === 3 ? row[2] : given
    t.strictSame(
      answer(call([field]), [given]).values,
      [expected],
      `${field.methodName} ${JSON.stringify(given)}`,
    )
  }
})

function both(value: unknown) {
  return { label: value, value }
}

t.test('values that are refused, and in which words', async t => {
  const time = (hour: number, minute: number) => ({ hour, minute })
  const between = { minLength: 5, maxLength: 20 }
  const moments = { min: { ...july, ...time(13, 5) }, max: { ...july, day: 21, ...time(0, 0) } }
  const cases: [IoComponent, unknown, string][] = [
    [component('INPUT_TEXT'), null, required],
    [component('INPUT_TEXT'), '', required],
    [component('INPUT_TEXT'), 5, 'Please enter a valid value.'],
    [component('INPUT_TEXT', between), 'abcd', 'Please enter a value with between 5 and 20 characters.'],
    [component('INPUT_TEXT', { minLength: 5 }), 'abcd', 'Please enter a value with at least 5 characters.'],
    [component('INPUT_TEXT', { maxLength: 1 }), 'ab', 'Please enter a value with no more than 1 character.'],
    [component('INPUT_EMAIL'), 'notanemail', 'Please enter a valid email address.'],
    [component('INPUT_NUMBER', { min: 13 }), 12, 'Please enter a number greater than or equal to 13.'],
    [component('INPUT_NUMBER', { max: 13 }), 14, 'Please enter a number less than or equal to 13.'],
    [
      component('INPUT_NUMBER', { currency: 'USD' }),
      1.234,
      'Please enter a number with up to 2 decimal places.',
    ],
    [component('INPUT_NUMBER', { decimals: 1 }), 1e-7, 'Please enter a number with up to 1 decimal place.'],
    [component('INPUT_NUMBER'), 1.5, 'Please enter a whole number.'],
    [component('INPUT_NUMBER'), '5', 'Please enter a valid number.'],
    [component('INPUT_NUMBER'), Number.NaN, 'Please enter a valid number.'],
    [component('INPUT_SLIDER', { min: 9, max: 10 }), 15, 'Please enter a number between 9 and 10.'],
    [component('INPUT_SLIDER', { min: 9, max: 10 }), null, required],
    [component('INPUT_URL'), 'nonsense', 'Please enter a valid URL.'],
    [component('INPUT_URL', { allowedProtocols: ['https'] }), 'http://a.b', 'The URL must begin with https.'],
    [component('INPUT_URL'), 'javascript:alert(1)', 'The URL must begin with http or https.'],
    [component('INPUT_BOOLEAN'), 'true', 'Please enter a valid value.'],
    [component('INPUT_RICH_TEXT'), '<p><br> &nbsp;</p>', required],
    [component('INPUT_DATE'), { year: 2022, month: 2, day: 29 }, 'Please enter a valid date.'],
    [component('INPUT_DATE'), '2022-02-01', 'Please enter a valid date.'],
    [
      component('INPUT_DATE', { min: july, max: { ...july, month: 8 } }),
      { ...july, day: 19 },
      'Please enter a date between July 20, 2022 and August 20, 2022.',
    ],
    [
      component('INPUT_DATE', { min: july }),
      { ...july, year: 1 },
      'Please enter a date on or after July 20, 2022.',
    ],
    [component('INPUT_TIME'), time(24, 0), 'Please enter a valid time.'],
    [
      component('INPUT_TIME', { min: time(8, 30), max: time(20, 0) }),
      time(20, 1),
      'Please enter a time between 8:30 AM and 8:00 PM.',
    ],
    [
      component('INPUT_DATETIME', moments),
      { ...july, ...time(13, 4) },
      'Please enter a date between July 20, 2022, 1:05 PM and July 21, 2022, 12:00 AM.',
    ],
    [
      component('UPLOAD_FILE', { allowedExtensions: ['jpg'] }),
      fileValue,
      'Please choose a file of type jpg.',
    ],
    [component('UPLOAD_FILE'), { ...fileValue, url: 'file:///etc/passwd' }, 'Please choose a file.'],
    [
      component('UPLOAD_FILE', { fileUrls: [{ uploadUrl: 'u', downloadUrl: 'd' }] }),
      fileValue,
      'Please choose a file.',
    ],
    [component('UPLOAD_FILE', {}, multiple), [], required],
    [
      component('SEARCH', { results: [{ label: 'x', value: '3:0' }] }),
      '3:1',
      'Please choose one of the options.',
    ],
    [
      component('SEARCH', { results: [{ label: 'x', value: '3:0' }] }),
      '4:0',
      'Please choose one of the options.',
    ],
    [component('SEARCH', { results: [] }), 'constructor', 'Please choose one of the options.'],
    [component('CONFIRM'), null, required],
    [component('SELECT_TABLE', { data: [], minSelections: 1 }), [], 'Please make at least 1 selection.'],
    [component('SELECT_TABLE', { data: [] }), [{ key: 1 }], 'Please enter a valid value.'],
    [component('SELECT_SINGLE', { options }), null, required],
    [
      component('SELECT_SINGLE', { options }),
      { value: { toString: 1 } },
      'Please choose one of the options.',
    ],
    [
      component('SELECT_MULTIPLE', { options }),
      [{ value: [{ toString: 1 }] }],
      'Please choose one of the options.',
    ],
    [component('SELECT_SINGLE', { options }), { value: 'true' }, 'Please choose one of the options.'],
    [
      component('SELECT_SINGLE', { options }),
      { value: day.toISOString() },
      'Please choose one of the options.',
    ],
    [
      component('SELECT_MULTIPLE', { options, maxSelections: 2 }),
      ['A', 1, true],
      'Please make no more than 2 selections.',
    ],
    [component('SELECT_MULTIPLE', { options, minSelections: 1 }), null, 'Please make at least 1 selection.'],
    [component('CREDENTIALS'), { token: '' }, 'Please enter a valid value.'],
    [component('INPUT_HOLOGRAM'), 'x', 'This field is not supported.'],
  ]
  for (const [field, given, message] of cases) {
    const name = `${field.methodName} ${JSON.stringify(given)}`
    t.same(answer(call([field]), [given]).fields, { 0: message }, name)
  }
  const columns = { a: 'string', n: 'number' }
  for (const rows of [[{ a: 'x' }], [{ a: 1, n: 1 }], [{ a: 'x', n: '1' }], ['x'], [{ n: 1 }]]) {
    const { fields } = answer(call([component('INPUT_SPREADSHEET', { columns })]), [rows])
    t.match(fields?.[0], /^There are one or more issues with the data you entered/, JSON.stringify(rows))
  }
})

t.test('a group is checked as a whole: count, each field, choice', async t => {
  const group = call([
    component('INPUT_TEXT'),
    component('DISPLAY_MARKDOWN'),
    component('INPUT_NUMBER', {}, optional),
  ])
  t.same(answer(group, ['x', null]).fields, { form: 'The number of values does not fit this step.' })
  t.same(answer(group, [null, null, 'x']).fields, { 0: required, 2: 'Please enter a valid number.' })
  t.same(answer(group, ['x', null, null], 'ignored').sent, {
    id,
    inputGroupKey: 'group',
    transactionId: 'tx',
    kind: 'RETURN',
    values: ['x', null, null],
    valuesMeta: { values: { 2: ['undefined'] } },
  })
  const choosing = call([component('DISPLAY_MARKDOWN')], { choiceButtons: [{ label: 'Yes', value: 'y' }] })
  t.equal(answer(choosing, [null], 'y').sent.choice, 'y')
  for (const choice of ['Yes', undefined]) {
    t.same(answer(choosing, [null], choice).fields, { form: 'Please choose one of the buttons.' })
  }
})

t.test('states are rebuilt from known fields; only stateful components have them', async t => {
  const stateful = { isStateful: true }
  const cases: [IoComponent, unknown, unknown][] = [
    [component('SEARCH', { results: [] }, stateful), { queryTerm: 'ed', more: 1 }, { queryTerm: 'ed' }],
    [component('SEARCH', { results: [] }), { queryTerm: 'ed' }, null],
    [component('INPUT_TEXT'), 'x', null],
    [
      component('DISPLAY_TABLE', { data: [] }, stateful),
      { pageSize: 20, queryTerm: null, sortColumn: 'a', sortDirection: 'asc', isSelectAll: true },
      { offset: 0, pageSize: 20, sortColumn: 'a', sortDirection: 'asc' },
    ],
    [
      component('SELECT_TABLE', { data: [] }, stateful),
      { offset: 40, pageSize: 20, queryTerm: 'q' },
      { offset: 40, pageSize: 20, queryTerm: 'q', isSelectAll: false },
    ],
    [
      component('DISPLAY_GRID', { data: [] }, stateful),
      { offset: 0, pageSize: 9, sortColumn: 'a' },
      { offset: 0, pageSize: 9 },
    ],
    [
      component('UPLOAD_FILE', {}, stateful),
      { files: [{ name: 'n', type: 't', size: 1 }] },
      { files: [{ name: 'n', type: 't' }] },
    ],
  ]
  for (const [field, given, expected] of cases) {
    t.same(answer(call([field]), [given], undefined, 'SET_STATE').values, [expected], field.methodName)
  }
  const table = call([component('DISPLAY_TABLE', { data: [] }, stateful)])
  for (const state of [
    'x',
    {},
    { pageSize: -1 },
    { pageSize: 20, offset: 0.5 },
    { pageSize: 20, sortDirection: 'up' },
  ]) {
    t.same(answer(table, [state], undefined, 'SET_STATE').fields, { 0: 'Please enter a valid value.' })
  }
})

t.test('hostile superjson is refused', async t => {
  const text = call([component('INPUT_TEXT')])
  const metas = [
    { values: { 0: [['typed-array', 'Float64Array']] } },
    { values: { 0: ['regexp'] } },
    { values: { '__proto__.polluted': ['undefined'] } },
    {
      values: {
        [`${'0.'.repeat(200_000)}0`]: Object.fromEntries(
          Array.from({ length: 1_000 }, (_, i) => [i, ['Date']]),
        ),
      },
    },
    { values: { 0: ['bigint'] } },
  ]
  for (const valuesMeta of metas) {
    const checked = validateAnswer(text, { kind: 'RETURN', values: ['x'], valuesMeta }, 'tx')
    t.equal(checked.ok, false, JSON.stringify(valuesMeta).slice(0, 60))
  }
})

t.test('props keep types they name and survive nonsense', async t => {
  const bad = {
    ...component('INPUT_NUMBER', { min: 5 }),
    propsMeta: { values: { 'a.b.c': [['class', 'X']] } },
  }
  t.match(answer(call([bad]), [4]).fields, { 0: /greater than or equal to 5/ })
  const before = JSON.stringify(bad)
  answer(call([bad]), [6])
  t.equal(JSON.stringify(bad), before, 'the call itself is left alone')
})

t.test('cancelling names the render and has no values', async t => {
  t.same(JSON.parse(cancelText({ id, inputGroupKey: 'g' }, 'tx')), {
    id,
    inputGroupKey: 'g',
    transactionId: 'tx',
    kind: 'CANCELED',
    values: [],
  })
})
