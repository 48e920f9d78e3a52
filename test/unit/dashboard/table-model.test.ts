/** Tables as the dashboard holds them: order, filter, pages, CSV. */
import t from 'tap'
import {
  csvOf,
  filteredRows,
  hasMarkdown,
  rangeText,
  sortedRows,
  tableOf,
} from '../../../lib/dashboard/io/table-model.js'

const props = {
  columns: [{ label: 'Id', accessorKey: 'id' }, { label: 'Who' }],
  data: [
    { key: '0', data: { id: 10, '1': { label: 'Ada, "the first"', value: 1 } } },
    { key: '1', data: { id: 9, '1': null } },
    { key: '2', data: { id: null, '1': 'grace' } },
  ],
}

t.test('a table knows whether it holds all rows', async t => {
  t.equal(tableOf(props).holdsAll, true)
  t.equal(tableOf({ ...props, totalRecords: 4 }).holdsAll, false)
  t.equal(tableOf({ columns: [], data: [], isAsync: true }).holdsAll, false)
  t.equal(tableOf({ ...props, orientation: 'vertical' }).pageSize, 5)
  t.equal(tableOf({ ...props, defaultPageSize: Number.POSITIVE_INFINITY }).pageSize, 500)
})

t.test('bare rows of the oldest hosts get keys and columns', async t => {
  const table = tableOf({ data: [{ a: 1, b: 2 }] })
  t.same(
    table.columns.map(column => column.label),
    ['a', 'b'],
  )
  t.equal(table.rows[0]?.key, '0')
})

t.test('numbers sort as numbers, missing values come last both ways', async t => {
  const { rows } = tableOf(props)
  t.same(
    sortedRows(rows, { cellKey: 'id', direction: 'asc' }).map(row => row.key),
    ['1', '0', '2'],
  )
  t.same(
    sortedRows(rows, { cellKey: 'id', direction: 'desc' }).map(row => row.key),
    ['0', '1', '2'],
  )
})

t.test('the filter looks into every cell, whatever the case', async t => {
  const { rows, columns } = tableOf(props)
  t.same(
    filteredRows(rows, columns, 'GRA').map(row => row.key),
    ['2'],
  )
  t.same(
    filteredRows(rows, columns, 'the first').map(row => row.key),
    ['0'],
  )
  t.equal(filteredRows(rows, columns, ' ').length, 3)
})

t.test('CSV has labels first, quotes where needed and no last line break', async t => {
  const { rows, columns } = tableOf(props)
  t.equal(csvOf(columns, rows), 'Id,Who\n10,"Ada, ""the first"""\n9,\n,grace')
  const unlabelled = { key: '0', data: { id: 1, '1': { label: null, value: 'Eve' } } }
  const [row] = tableOf({ ...props, data: [unlabelled] }).rows
  t.equal(row && csvOf(columns, [row]), 'Id,Who\n1,Eve', 'a label that the host left undefined is none')
})

t.test(
  'words that a program would run as a formula get an apostrophe, numbers and what people write stay',
  async t => {
    const inCsv = (value: unknown): string => {
      const { columns, rows } = tableOf({
        columns: [{ label: 'A' }],
        data: [{ key: '0', data: { '0': value } }],
      })
      return csvOf(columns, rows).slice('A\n'.length)
    }
    for (const [text, written] of [
      ['=HYPERLINK("https://example.com")', `"'=HYPERLINK(""https://example.com"")"`],
      ['@SUM(A1)', "'@SUM(A1)"],
      ['+A1', "'+A1"],
      ["-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"],
      ['\t=1+1', "\t'=1+1"],
      ['＝1', "'＝1"],
      ['one;=1+1', "one;'=1+1"],
      ["1;-2+3+cmd|' /C calc'!A0", "1;'-2+3+cmd|' /C calc'!A0"],
      ['two\n=1+1', `"two\n'=1+1"`],
    ])
      t.equal(inCsv(text), written)
    for (const text of [
      '-5',
      '+49 (30) 123-45',
      '-1.5',
      '- 3',
      'a=b',
      'ada@example.com',
      'a; b',
      '1;-2;+3',
      'x\ny',
      '-',
    ])
      t.equal(inCsv(text).replaceAll('"', ''), text)
    t.equal(inCsv(-5), '-5')
    t.equal(inCsv(-5e-7), '-5e-7')
    t.equal(inCsv({ label: '=1', value: 1 }), "'=1")
    t.equal(
      csvOf(tableOf({ columns: [{ label: '=A1' }], data: [] }).columns, []),
      "'=A1",
      'a label is a cell too',
    )
  },
)

t.test('the range is written with separators in the total', async t => {
  t.equal(rangeText(0, 5, 10_000), '1 - 5 of 10,000')
  t.equal(rangeText(20, 5, null), '21 - 25')
})

t.test('markdown is what nobody writes by accident', async t => {
  for (const text of [
    'see [it](https://example.com/a)',
    '**bold** and plain',
    'a **b c** d',
    'run `npm test`',
  ])
    t.ok(hasMarkdown(text), text)
  for (const text of [
    '1. one',
    '# 5',
    'snake_case_name',
    '2 * 3 * 4',
    '**',
    '** not **',
    'a[0](1 2)',
    '[x]',
    '5 > 3',
    '- no',
    '~5~',
  ])
    t.notOk(hasMarkdown(text), text)
  for (const text of ['['.repeat(50_000), '**a'.repeat(20_000), '`'.repeat(50_001)])
    t.type(hasMarkdown(text), 'boolean')
})
