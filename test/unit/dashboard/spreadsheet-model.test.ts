/** Spreadsheets without a screen: typed cells, blank rows, imports with and without names. */
import t from 'tap'
import { negated, numberText, plainNumber } from '../../../lib/dashboard/io/number-text.js'
import { addressTyped, isEmptyHtml } from '../../../lib/dashboard/io/rich-text-value.js'
import {
  importedOf,
  mappingOf,
  recordsOfSheet,
  rowsOfImport,
  sheetColumnsOf,
  sheetOfRecords,
  sheetRowsMax,
  withRows,
  wrongRows,
} from '../../../lib/dashboard/io/spreadsheet-model.js'
import { rowsOfText, textOfBytes } from '../../../lib/dashboard/io/spreadsheet-text.js'

const columns = sheetColumnsOf({
  columns: {
    name: 'string',
    note: 'string?',
    years: 'number',
    share: 'number?',
    admin: 'boolean',
    vip: 'boolean?',
  },
})

t.test('rows become records of the columns’ types', async t => {
  t.same(
    recordsOfSheet(
      [
        ['Ada', '', '1,036', '-.5', '1', ''],
        ['', '', '', '', 'false', ''],
      ],
      columns,
    ),
    [{ name: 'Ada', years: 1036, share: -0.5, admin: true }],
  )
  t.same(recordsOfSheet([['Ada', ' ', '0', '', '', 'no']], columns), [
    { name: 'Ada', years: 0, admin: false, vip: false },
  ])
  t.same(recordsOfSheet([], columns), [])
})

t.test('what is missing or of another type is wrong, in rows that hold something', async t => {
  const rows = [
    ['Ada', '', '36', '', '', ''],
    ['', '', '', '', '', ''],
    ['', 'note', '1', '', '', ''],
    ['Bob', '', 'many', '', '', ''],
    ['Cy', '', '1', '', 'perhaps', ''],
    ['Dee', '', 'Infinity', '', '', ''],
    ['Eve', '', '0x10', '', '', ''],
  ]
  t.same(wrongRows(rows, columns), [2, 3, 4, 5, 6])
  t.equal(recordsOfSheet(rows, columns), null)
})

t.test('default values, whatever a host writes there', async t => {
  t.same(sheetOfRecords([{ name: 'Ada', years: 36, admin: true, other: 1 }, null, 'x'], columns), [
    ['Ada', '', '36', '', 'true', ''],
  ])
  t.same(sheetOfRecords('nonsense', columns), [])
  t.same(sheetColumnsOf({ columns: { a: 7, b: 'date' } }), [
    { name: 'a', kind: 'string', isRequired: false },
    { name: 'b', kind: 'string', isRequired: true },
  ])
  t.same(sheetColumnsOf({}), [])
})

t.test('imports: by position, by name when all are there, header or not', async t => {
  const people = sheetColumnsOf({ columns: { first: 'string', years: 'number' } })
  const bare = importedOf([['Ada', '36']], people, false)
  t.equal(bare.hasHeader, false)
  t.same(rowsOfImport(bare, mappingOf(bare, people), people), [['Ada', '36']])
  t.equal(importedOf([['Ada', '36']], people, true).hasHeader, false, 'a file whose first row is a record')
  const named = importedOf(
    [
      ['A', 'B'],
      [' ', ''],
      ['Ada', '36'],
    ],
    people,
    false,
  )
  t.equal(named.hasHeader, true)
  t.same(rowsOfImport(named, mappingOf(named, people), people), [['Ada', '36']])
  const swapped = importedOf(
    [
      ['Years', 'FIRST'],
      ['36', 'Ada'],
    ],
    people,
    true,
  )
  t.same(rowsOfImport(swapped, mappingOf(swapped, people), people), [['Ada', '36']])
  const words = sheetColumnsOf({ columns: { a: 'string', b: 'string' } })
  t.equal(
    importedOf(
      [
        ['x', 'y'],
        ['1', '2'],
      ],
      words,
      true,
    ).hasHeader,
    true,
    'files begin with names',
  )
  t.equal(
    importedOf(
      [
        ['x', 'y'],
        ['1', '2'],
      ],
      words,
      false,
    ).hasHeader,
    false,
  )
  const narrow = importedOf([['only']], words, false)
  t.same(rowsOfImport(narrow, mappingOf(narrow, words), words), [['only', '']])
})

t.test('what files bring: separators, quotes, marks, encodings, commas for points', async t => {
  const people = sheetColumnsOf({ columns: { name: 'string', share: 'number' } })
  const read = (text: string) => {
    const { rows, hasDecimalCommas } = rowsOfText(text)
    const imported = importedOf(rows, people, true, hasDecimalCommas)
    return rowsOfImport(imported, mappingOf(imported, people), people)
  }
  t.same(read('\uFEFFname,share\r\n"Ada ""the"" 1st, Quill",36\r\n\r\n"two\nlines",2\r\n'), [
    ['Ada "the" 1st, Quill', '36'],
    ['two\nlines', '2'],
  ])
  t.same(read('name;share\nAda, 1,5;1,5\nGrace;-1.036,25\nKen;1.5\nEve;1,5,0'), [
    ['Ada, 1,5', '1.5'],
    ['Grace', '-1036.25'],
    ['Ken', '1.5'],
    ['Eve', '1,5,0'],
  ])
  t.same(read('\uFEFFsep=;\r\nname;share\r\nAda;1'), [['Ada', '1']])
  t.same(
    read('sep=;\nname,first;share\nLovelace,Ada;1\nHopper,Grace;2'),
    [
      ['Lovelace,Ada', '1'],
      ['Hopper,Grace', '2'],
    ],
    'the separator that is named counts, not the one that is found more often',
  )
  t.same(read('name\tshare\rAda\t1,036'), [['Ada', '1,036']])
  t.same(recordsOfSheet([['Ada', '1,036']], people), [{ name: 'Ada', share: 1036 }])
  t.same(recordsOfSheet([['Ada', '2e-1']], people), [{ name: 'Ada', share: 0.2 }])
  t.equal(
    recordsOfSheet([['Ada', '1,5']], people),
    null,
    'a comma that separates no thousands is not left out',
  )
  const bytes = (...parts: Buffer[]) => new Uint8Array(Buffer.concat(parts)).buffer
  t.equal(textOfBytes(bytes(Buffer.from('José'))), 'José')
  t.equal(textOfBytes(bytes(Buffer.from('José', 'latin1'))), 'José')
  t.equal(textOfBytes(bytes(Buffer.from([0xff, 0xfe]), Buffer.from('José', 'utf16le'))), 'José')
})

t.test('numbers as people type them', async t => {
  for (const [typed, number] of [
    ['1337', '1337'],
    [' -1,000.5 ', '-1000.5'],
    ['12,34,567', '1234567'],
    ['\u22125', '-5'],
    ['.5', '.5'],
    ['+3.', '+3.'],
  ])
    t.equal(plainNumber(typed ?? ''), number)
  for (const typed of [
    '',
    '-',
    '1,5',
    '1,00',
    ',000',
    '1,000,5',
    '1,2.5',
    '1.000,5',
    '1e3',
    '0x10',
    '1 000',
    'Infinity',
  ])
    t.equal(plainNumber(typed), null, typed)
  for (const [value, text] of [
    [3e-7, '0.0000003'],
    [-2.5e-8, '-0.000000025'],
    [1e21, '1000000000000000000000'],
    [0.1, '0.1'],
    [-1_000.5, '-1000.5'],
    [0, '0'],
  ] as const) {
    t.equal(numberText(value), text)
    t.equal(Number(plainNumber(text)), value, 'it is taken as it stands there')
  }
})

t.test('imported rows follow those that hold something, up to a bound', async t => {
  const words = sheetColumnsOf({ columns: { a: 'string' } })
  t.same(withRows([['x'], [''], ['y'], [''], ['']], [['z']], words), [['x'], [''], ['y'], ['z']])
  const many = Array.from({ length: sheetRowsMax + 5 }, () => ['x'])
  t.equal(withRows([], many, words).length, sheetRowsMax)
  t.equal(importedOf(many, words, false).rows.length, sheetRowsMax + 1)
})

t.test('formatted words that show nothing are empty; addresses are of the web', async t => {
  for (const html of ['', '<p></p>', '<p>&nbsp; <br></p>', '<h1> </h1', '<'.repeat(100_000)])
    t.ok(isEmptyHtml(html))
  for (const html of ['<p>a</p>', '<img src="x">', '<hr>', 'a<']) t.notOk(isEmptyHtml(html), html)
  t.equal(addressTyped(' example.com/a '), 'https://example.com/a')
  t.equal(addressTyped('localhost:3000'), 'https://localhost:3000')
  t.equal(addressTyped('you@example.com'), 'mailto:you@example.com')
  t.equal(addressTyped('/inside'), '/inside')
  for (const text of ['', 'two words', 'javascript:alert(1)', 'data:text/html,x', 'java\tscript:x'])
    t.equal(addressTyped(text), null, text)
})

t.test('a number with the other sign', async t => {
  for (const [typed, other] of [
    ['', '-'],
    ['-', ''],
    ['5', '-5'],
    ['-5', '5'],
    ['+5', '-5'],
    ['\u22121,000.5', '1,000.5'],
    [' 0.5 ', '-0.5'],
  ])
    t.equal(negated(typed ?? ''), other)
})
