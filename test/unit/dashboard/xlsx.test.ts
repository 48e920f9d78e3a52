/** Files for spreadsheets: what is in them, read by other means than they were written. */
import t from 'tap'
import { sheetRows, tableOf } from '../../../lib/dashboard/io/table-model.js'
import { type Cell, xlsxOf } from '../../../lib/dashboard/io/xlsx.js'
import { filesOfZip } from '../../support/zip.js'

const filesOf = async (blob: Blob) => filesOfZip(Buffer.from(await blob.arrayBuffer()))

const sheetOf = async (names: string[], rows: Cell[][]) =>
  (await filesOf(await xlsxOf(names, rows))).get('xl/worksheets/sheet1.xml') ?? ''

/** What stands in a cell. */
const cellOf = (sheet: string, place: string) =>
  new RegExp(`<c r="${place}"[^>]*>.*?</c>`).exec(sheet)?.[0] ?? ''

t.test('the files that make a workbook, and no other', async t => {
  const blob = await xlsxOf(['Name'], [['Ada']])
  t.equal(blob.type, 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet')
  const files = await filesOf(blob)
  t.same(
    [...files.keys()].sort(),
    [
      '[Content_Types].xml',
      '_rels/.rels',
      'xl/_rels/workbook.xml.rels',
      'xl/styles.xml',
      'xl/workbook.xml',
      'xl/worksheets/sheet1.xml',
    ].sort(),
  )
  for (const xml of files.values())
    t.match(xml, /^<\?xml version="1.0" encoding="UTF-8" standalone="yes"\?>\n</)
  t.match(files.get('xl/worksheets/sheet1.xml'), /<c r="A1" t="inlineStr" s="1"><is>.*Name.*<c r="A2".*Ada/)
})

t.test('numbers, booleans, dates and nothing are what they are', async t => {
  const noon = new Date(2022, 6, 20, 12, 0)
  const sheet = await sheetOf(
    ['a'],
    [
      [-1.5, true, noon, null, ''],
      [Number.NaN, new Date(Number.NaN)],
    ],
  )
  t.equal(cellOf(sheet, 'A2'), '<c r="A2"><v>-1.5</v></c>')
  t.equal(cellOf(sheet, 'B2'), '<c r="B2" t="b"><v>1</v></c>')
  t.equal(cellOf(sheet, 'C2'), '<c r="C2" s="2"><v>44762.5</v></c>', 'noon here, wherever here is')
  t.match(sheet, /<cols><col min="1" max="1" width="20"/, 'dates have room')
  t.equal(cellOf(sheet, 'D2'), '')
  t.equal(cellOf(sheet, 'E2'), '')
  t.match(cellOf(sheet, 'A3'), 'NaN')
  t.notMatch(sheet, /<v>(NaN|Invalid)/)
  const old = await sheetOf(['a'], [[new Date(Date.UTC(1815, 11, 10))]])
  t.match(cellOf(old, 'A2'), /<t [^>]*>1815-12-10T00:00:00\.000Z</)
})

t.test('texts are texts, whatever they begin with and hold', async t => {
  const texts = [
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '=HYPERLINK("https://example.com")',
    'constructor',
    '__proto__',
  ]
  const sheet = await sheetOf(texts, [texts])
  t.notMatch(sheet, /<f[ >]/, 'no formula')
  for (const [index, text] of texts.entries()) {
    const cell = cellOf(sheet, `${'ABCDEFGH'[index]}2`)
    t.match(cell, / t="inlineStr">/)
    t.ok(cell.includes(`>${text}</t>`), text)
  }
  const rest = await sheetOf(
    ['<b>&'],
    [['a\u0000\u0001b\uffff', '_x0041_', ' two\nlines ', 'x'.repeat(40_000), '😀']],
  )
  t.match(cellOf(rest, 'A1'), '&lt;b&gt;&amp;')
  t.match(cellOf(rest, 'A2'), '>ab<')
  t.match(cellOf(rest, 'B2'), '>_x005F_x0041_<', 'not the letter A')
  t.ok(rest.includes('xml:space="preserve"> two\nlines <'))
  t.equal(/x{1000,}/.exec(rest)?.[0].length, 32_767, 'what a cell holds')
  t.match(cellOf(rest, 'E2'), '😀')
})

t.test('columns beyond Z, and many rows', async t => {
  const names = Array.from({ length: 703 }, (_none, index) => `c${index}`)
  const sheet = await sheetOf(names, [])
  for (const [place, index] of [
    ['Z1', 25],
    ['AA1', 26],
    ['ZZ1', 701],
    ['AAA1', 702],
  ])
    t.match(cellOf(sheet, String(place)), `>c${index}<`)
  const many = await sheetOf(
    ['n'],
    Array.from({ length: 1_201 }, (_none, index) => [index]),
  )
  t.equal(many.match(/<row /g)?.length, 1_202)
  t.match(many, /<row r="1202"><c r="A1202"><v>1200<\/v><\/c><\/row><\/sheetData>/)
})

t.test('rows of a table as a sheet takes them', async t => {
  const { columns, rows } = tableOf({
    columns: ['a', 'b', 'c', 'd', 'e', 'f'].map(key => ({ label: key, accessorKey: key })),
    data: [
      {
        key: '0',
        data: {
          a: { label: '=words', url: 'https://example.com' },
          b: 5n,
          c: 12345678901234567890n,
          d: '2022-07-20T12:00:00.000Z',
          e: { nested: { x: 1 } },
        },
      },
    ],
  })
  t.same(sheetRows(columns, rows), [
    ['=words', 5, '12345678901234567890', new Date('2022-07-20T12:00:00.000Z'), '{"nested":{"x":1}}', null],
  ])
})
