/**
 * The fields of forms, one method after another, driven through a real browser and answered to a host of the real SDK:
 * valid, invalid, optional and default values, and the words that go with them.
 */
import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { ioStage, start } from './io-stage.js'
import { accessibilityProblems, continueButton, gone, resultOf, shown } from './stage.js'

t.setTimeout(300_000)
const { stage, home } = await ioStage(t)

const errors = (page: Page) => page.locator('[data-pw="field-error"]')

/** The form's errors, in order. */
async function errorsAre(page: Page, ...expected: string[]): Promise<void> {
  await eventually(async () => {
    const texts = await errors(page).filter({ visible: true }).allTextContents()
    if (JSON.stringify(texts) !== JSON.stringify(expected)) throw new Error(`not these: ${texts.join(' | ')}`)
  })
  t.same(await errors(page).allTextContents(), expected)
}

async function valuesOf(fields: Locator): Promise<string[]> {
  return Promise.all((await fields.all()).map(field => field.inputValue()))
}

await stage.scenario(t, 'text: bounds, several lines, help and placeholder', async ({ t, page }) => {
  await start(page, home, 'text')
  const first = page.locator('input[type="text"]')
  t.equal(await first.getAttribute('placeholder'), 'Say something')
  await shown(page.getByText('Anything goes'))
  await continueButton(page).click()
  await errorsAre(page, 'This field is required.')
  await page.getByLabel('Plain').fill('one')
  await gone(errors(page))
  await continueButton(page).click()
  await page.getByLabel('Bounded').fill('abcd')
  t.equal(await page.locator('input[type="text"]').count(), 2, 'answered fields stay')
  t.equal(await page.locator('input[type="text"]').first().isDisabled(), true)
  await gone(errors(page))
  await continueButton(page).click()
  await errorsAre(page, 'Please enter a value with between 5 and 20 characters.')
  await page.getByLabel('Bounded').fill('a'.repeat(21))
  await errorsAre(page, 'Please enter a value with between 5 and 20 characters.')
  await page.getByLabel('Bounded').fill('a'.repeat(20))
  await gone(errors(page))
  await continueButton(page).click()
  const lines = await shown(page.locator('textarea'))
  t.equal(await lines.inputValue(), 'first\nsecond')
  await lines.fill('third\nfourth')
  await lines.press('End')
  await lines.press('Enter')
  await lines.press('Control+Enter')
  t.equal(await resultOf(page), JSON.stringify(['one', 'a'.repeat(20), 'third\nfourth\n']))
})

await stage.scenario(t, 'text: what the host finds wrong is shown and can be mended', async ({ t, page }) => {
  await start(page, home, 'text_checked')
  await continueButton(page).click()
  await errorsAre(page, 'Only odd lengths.')
  const field = page.getByLabel('Odd one')
  t.equal(await field.isEditable(), true)
  await field.fill('four')
  await continueButton(page).click()
  await errorsAre(page, 'Only odd lengths.')
  await field.fill('odd')
  await continueButton(page).click()
  t.equal(await resultOf(page), '"odd"')
})

await stage.scenario(t, 'number: whole, money, decimals, bounds, default', async ({ t, page, picture }) => {
  await start(page, home, 'number')
  const whole = page.getByLabel('Whole')
  t.equal(await whole.getAttribute('inputmode'), 'numeric')
  for (const name of ['Price', 'Precise'])
    t.equal(await page.getByLabel(name).getAttribute('inputmode'), 'decimal')
  t.equal(await page.getByLabel('From').inputValue(), '-7')
  await shown(page.getByText('$'))
  await shown(page.getByText('±'))
  await whole.fill('12')
  await page.getByLabel('Price').fill('1,000.555')
  await page.getByLabel('Precise').fill('0.1234')
  await page.getByLabel('From').fill('1')
  await continueButton(page).click()
  await errorsAre(
    page,
    'Please enter a number between 13 and 100.',
    'Please enter a number with up to 2 decimal places.',
    'Please enter a number with up to 3 decimal places.',
    'Please enter a number less than or equal to 0.',
  )
  await picture('io numbers wrong')
  t.equal(
    await page.locator(':focus').getAttribute('id'),
    await whole.getAttribute('id'),
    'the first wrong field has the caret',
  )
  await whole.fill('1.5')
  await errorsAre(
    page,
    'Please enter a whole number.',
    'Please enter a number with up to 2 decimal places.',
    'Please enter a number with up to 3 decimal places.',
    'Please enter a number less than or equal to 0.',
  )
  await whole.fill('words')
  await shown(errors(page).filter({ hasText: 'Please enter a' }).first())
  await whole.fill('13')
  await page.getByLabel('Price').fill('1,000.55')
  await page.getByLabel('Precise').fill('-0.123')
  await page.getByLabel('From').fill('-1')
  await gone(errors(page))
  await continueButton(page).click()
  t.equal(await resultOf(page), JSON.stringify({ whole: 13, price: 1000.55, precise: -0.123, from: -1 }))
})

await stage.scenario(t, 'boolean: by its box and by its words, never required', async ({ t, page }) => {
  await start(page, home, 'boolean')
  t.equal(await page.locator('label:has(input[type="checkbox"])').count(), 2)
  t.equal(await page.getByLabel('On', { exact: true }).isChecked(), true)
  await page.getByText('Off', { exact: true }).click()
  t.equal(await page.getByLabel('Off', { exact: true }).isChecked(), true)
  await page.locator('input[type="checkbox"]').first().click()
  t.equal(await page.getByLabel('Off', { exact: true }).isChecked(), false)
  await continueButton(page).click()
  t.equal(await resultOf(page), JSON.stringify({ off: false, on: true }))
})

await stage.scenario(t, 'email: the browser blocks, the label leads back', async ({ t, page }) => {
  await start(page, home, 'email')
  await page.getByText('Mail to').click()
  await page.keyboard.type('notanemail')
  await continueButton(page).click()
  t.equal(await errors(page).count(), 0)
  await page.getByText('Mail to').click()
  await page.keyboard.type('you@example.com')
  await continueButton(page).click()
  t.match(await resultOf(page), /you@example\.com/)
})

await stage.scenario(t, 'url: form and protocol', async ({ t, page }) => {
  await start(page, home, 'url')
  await page.getByLabel('Any address').fill('not a url')
  await page.getByLabel('Secure address').fill('http://example.com')
  await continueButton(page).click()
  await errorsAre(page, 'Please enter a valid URL.', 'The URL must begin with https.')
  await page.getByLabel('Any address').fill('http://example.com/a b')
  await page.getByLabel('Secure address').fill('https://example.com')
  await gone(errors(page))
  await continueButton(page).click()
  t.equal(
    await resultOf(page),
    JSON.stringify({ any: 'http://example.com/a%20b', secure: 'https://example.com/' }),
  )
})

await stage.scenario(t, 'slider: empty until touched, keys, text', async ({ t, page }) => {
  await start(page, home, 'slider')
  const range = page.locator('input[type="range"]')
  const text = page.getByLabel('Coarse', { exact: true })
  t.equal(await text.getAttribute('inputmode'), 'numeric')
  t.equal(await page.getByLabel('Fine', { exact: true }).getAttribute('inputmode'), 'decimal')
  t.equal(await page.getByLabel('Fine', { exact: true }).inputValue(), '2.5')
  t.equal(await range.nth(1).inputValue(), '2.5')
  t.equal(await range.first().inputValue(), '9')
  await continueButton(page).click()
  await errorsAre(page, 'This field is required.')
  await range.first().focus()
  await page.keyboard.press('1')
  await page.keyboard.press('5')
  t.equal(await text.inputValue(), '15')
  await errorsAre(page, 'Please enter a number between 9 and 10.')
  t.equal(await range.first().inputValue(), '9', 'a number out of range leaves the handle')
  await text.focus()
  await range.first().focus()
  await page.keyboard.press('1')
  t.equal(await text.inputValue(), '1', 'begins afresh after the focus was elsewhere')
  await page.getByText('Coarse', { exact: true }).click()
  await page.keyboard.type('10')
  t.equal(await text.inputValue(), '10', 'the label selects all of the text')
  t.equal(await range.first().inputValue(), '10')
  await range.nth(1).fill('15.5')
  t.equal(await page.getByLabel('Fine', { exact: true }).inputValue(), '15.5')
  t.equal(await page.getByLabel('Tiny', { exact: true }).inputValue(), '0.0000003')
  await range.nth(2).focus()
  await page.keyboard.press('ArrowRight')
  t.equal(await page.getByLabel('Tiny', { exact: true }).inputValue(), '0.0000004', 'as it would be typed')
  await continueButton(page).click()
  t.equal(await resultOf(page), JSON.stringify({ coarse: 10, fine: 15.5, tiny: 4e-7 }))
})

await stage.scenario(t, 'date, time, datetime: typed, chosen, bounded', async ({ t, page, picture }) => {
  await start(page, home, 'date')
  t.equal(await page.locator('.iv-timepicker').count(), 2)
  t.equal(await page.locator('.iv-datepicker').count(), 3)
  const day = page.locator('.iv-timepicker').first()
  const field = day.locator('input[type="text"]')
  const clock = page.locator('.iv-datepicker').nth(1).locator('select')
  const moment = page.locator('.iv-datepicker').nth(2)
  t.equal(await moment.locator('input').inputValue(), '07/20/2022')
  t.same(await valuesOf(moment.locator('select')), ['1', '05', 'pm'])
  await field.click()
  await shown(day.getByText('December 2022'))
  t.equal(
    await day.locator('.flatpickr-day:not(:disabled)').count(),
    31,
    'it opens where something can be chosen',
  )
  await field.fill('nonsense')
  await page.keyboard.press('Tab')
  await continueButton(page).click()
  await errorsAre(page, 'Please enter a valid date.', 'This field is required.')
  await field.fill('1/1/2023')
  await shown(
    errors(page).filter({ hasText: 'Please enter a date between January 1, 2022 and December 31, 2022.' }),
  )
  await field.fill('2/1/2022')
  const cells = day.locator('.flatpickr-day', { hasText: '25' })
  t.equal(await cells.count(), 1, 'one 25 in the month that was typed')
  await picture('io calendar')
  await cells.click()
  t.equal(await field.inputValue(), '02/25/2022')
  await clock.nth(0).focus()
  await page.keyboard.type('7')
  await page.keyboard.press('Tab')
  await page.keyboard.type('05')
  await page.keyboard.press('Tab')
  await page.keyboard.type('a')
  t.same(await valuesOf(clock), ['7', '05', 'am'])
  await shown(errors(page).filter({ hasText: 'Please enter a time between 8:30 AM and 8:00 PM.' }))
  await clock.nth(2).selectOption('pm')
  await gone(errors(page))
  await moment.locator('select').nth(2).selectOption('am')
  await moment.locator('input').fill('7/31/2022')
  await moment.locator('select').nth(2).selectOption('pm')
  await shown(errors(page).filter({ hasText: 'Please enter a date on or before July 31, 2022, 12:00 PM.' }))
  await moment.locator('select').nth(2).selectOption('am')
  await gone(errors(page))
  await page.keyboard.press('Escape')
  t.same(await accessibilityProblems(page), [])
  await continueButton(page).click()
  t.equal(
    await resultOf(page),
    JSON.stringify({ day: [2022, 2, 25], time: [19, 5], moment: [2022, 7, 31, 1], isDate: true }),
  )
  await start(page, home, 'date_result')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'year2,022month2day25jsDateFeb 25, 2022, 12:00 AM')
})

// There is no December 30, 2011 in Samoa, and no 2:30 on March 13, 2022 in New York.
for (const timeZone of ['Pacific/Apia', 'America/New_York', 'Asia/Kolkata']) {
  await stage.scenario(
    t,
    `days and times are the same everywhere: ${timeZone}`,
    async ({ t, page }) => {
      await start(page, home, 'calendar')
      const date = (label: string) => page.getByLabel(label, { exact: false }).first()
      t.equal(await date('Skipped').inputValue(), '12/30/2011')
      t.equal(await date('Early').inputValue(), '01/02/0050')
      t.same(await valuesOf(page.locator('.iv-datepicker').nth(3).locator('select')), ['12', '05', 'am'])
      await date('Skipped').click()
      await page.getByRole('button', { name: 'December 30, 2011' }).click()
      t.equal(await date('Skipped').inputValue(), '12/30/2011', 'the day that was chosen')
      await date('Left out').fill('3/12/2022')
      await page.keyboard.press('Escape')
      const evening = page.locator('.iv-datepicker').nth(4).locator('select')
      await evening.nth(0).selectOption('11')
      await evening.nth(1).selectOption('59')
      await evening.nth(2).selectOption('am')
      await date('Gap').fill('3/13/2022')
      await page.keyboard.press('Escape')
      const clock = page.locator('.iv-datepicker').nth(5).locator('select')
      await clock.nth(0).selectOption('2')
      await clock.nth(1).selectOption('00')
      await clock.nth(2).selectOption('am')
      await date('In two parts').fill('3/13/2022')
      await page.keyboard.press('Escape')
      await continueButton(page).click()
      await errorsAre(
        page,
        'Please enter a date on or after March 13, 2022.',
        'Please enter a time on or after 12:00 PM.',
        'Please enter a date between March 13, 2022, 2:15 AM and March 13, 2022, 2:45 AM.',
        'Please enter a valid time.',
      )
      await date('Left out').fill('')
      await date('In two parts').fill('')
      await clock.nth(1).selectOption('30')
      for (const part of [0, 1, 2]) await evening.nth(part).selectOption('')
      await gone(errors(page))
      await continueButton(page).click()
      t.equal(
        await resultOf(page),
        JSON.stringify({
          skipped: { year: 2011, month: 12, day: 30 },
          early: { year: 50, month: 1, day: 2 },
          midnight: { hour: 0, minute: 5 },
          gap: { year: 2022, month: 3, day: 13, hour: 2, minute: 30 },
        }),
      )
    },
    { timeZone },
  )
}

await stage.scenario(t, 'what is given, taken away, and wrong all the same', async ({ t, page, picture }) => {
  await start(page, home, 'given')
  const field = (name: string) => page.getByLabel(new RegExp(`^${name}`))
  const values = (...names: string[]) => Promise.all(names.map(name => field(name).inputValue()))
  t.same(await values('Word', 'Short', 'Long', 'None', 'Fixed'), ['given', 'long', '', 'taken away', 'stays'])
  t.same(await values('Mail', 'Site', 'Other'), ['ada@example.com', 'https://example.com/x', ''])
  t.same(await values('Least', 'Euros', 'Five'), ['', '12.5', '5'])
  t.equal(await field('Fixed').isDisabled(), true)
  t.equal(await field('Yes').isChecked(), true)
  await shown(page.getByText('Where to write'))
  await shown(page.getByText('€'))
  for (const [name, words] of [
    ['Mail', 'you@example.com'],
    ['Site', 'https://'],
    ['Least', 'A number'],
  ] as const)
    t.equal(await field(name).getAttribute('placeholder'), words)
  await field('Long').fill('ab')
  await field('Other').fill('nowhere')
  await field('Least').fill('12')
  await field('Euros').fill('1,2.5')
  await field('Five').fill('1,5')
  await continueButton(page).click()
  await errorsAre(
    page,
    'Please enter a value with no more than 3 characters.',
    'Please enter a value with at least 3 characters.',
    'Please enter a valid URL.',
    'Please enter a number greater than or equal to 13.',
    'Please enter a valid number.',
    'Please enter a valid number.',
  )
  await picture('io given and wrong')
  for (const name of ['Long', 'None', 'Other', 'Five']) await field(name).fill('')
  await field('Short').fill('abc')
  await field('Least').fill('1,000,013')
  await field('Euros').fill('\u22120.125')
  await field('Yes').click()
  await gone(errors(page))
  await field('Mail').fill('')
  await continueButton(page).click()
  await errorsAre(page, 'This field is required.')
  await field('Mail').fill('grace@example.com')
  await continueButton(page).click()
  t.equal(
    await resultOf(page),
    JSON.stringify({
      word: 'given',
      short: 'abc',
      fixed: 'stays',
      mail: 'grace@example.com',
      site: 'URL https://example.com/x',
      least: 1_000_013,
      euros: -0.125,
      yes: false,
    }).replace('URL ', ''),
  )
})

await stage.scenario(t, 'a calendar that makes the page longer takes no click away', async ({ t, page }) => {
  await page.setViewportSize({ width: 1280, height: 400 })
  await start(page, home, 'date_result')
  await page.getByLabel('Only day').focus()
  await shown(page.getByRole('group', { name: 'Calendar' }))
  await page.evaluate('window.scrollTo(0, document.documentElement.scrollHeight)')
  t.ok((await page.evaluate<number>('window.scrollY')) > 0, 'there is more of the page with it')
  await page.getByText('Only day').click()
  t.equal(
    await page.locator('.flatpickr-day').count(),
    28,
    'a click that leads back to the field leaves it open',
  )
  await continueButton(page).click()
  t.match(await resultOf(page), 'Feb 25, 2022')
  t.equal(await page.locator('.flatpickr-day').count(), 0)
})

await stage.scenario(t, 'slider: below zero by its keys, where there is something', async ({ t, page }) => {
  await start(page, home, 'below_zero')
  const range = page.locator('input[type="range"]')
  const text = (name: string) => page.getByLabel(new RegExp(`^${name}`))
  await range.first().focus()
  await page.keyboard.type('-17')
  t.equal(await text('Cold').inputValue(), '-17')
  t.equal(await range.first().inputValue(), '-17')
  await page.keyboard.press('ArrowRight')
  t.equal(await text('Cold').inputValue(), '-16')
  await range.nth(1).focus()
  await page.keyboard.type('-7')
  t.equal(await text('Above').inputValue(), '7', 'where there is nothing below zero, a minus is no number')
  t.equal(await text('None').inputValue(), '-2')
  await text('None').fill('')
  await text('Above').fill('1e1')
  await continueButton(page).click()
  await errorsAre(page, 'Please enter a valid number.')
  await text('Above').fill('8')
  await continueButton(page).click()
  t.equal(await resultOf(page), JSON.stringify({ cold: -16, above: 8 }))
})

await stage.scenario(
  t,
  'below zero where a keypad has no minus',
  async ({ t, page, picture }) => {
    const sign = (field: Locator) => field.locator('xpath=..').getByRole('button', { name: 'Change sign' })
    const field = (name: string) => page.getByLabel(new RegExp(`^${name}`))
    await start(page, home, 'number')
    t.equal(await sign(field('Whole')).count(), 0, 'nothing below zero is allowed there')
    for (const name of ['Price', 'Precise', 'From']) await shown(sign(field(name)))
    await field('Whole').fill('13')
    await sign(field('Price')).tap()
    await page.keyboard.type('5.5')
    t.equal(await field('Price').inputValue(), '-5.5', 'a minus to begin with, and the caret behind it')
    await field('Precise').fill('+0.25')
    await sign(field('Precise')).tap()
    await sign(field('From')).tap()
    t.equal(await field('From').inputValue(), '7')
    await sign(field('From')).tap()
    t.equal(await errors(page).count(), 0)
    t.same(await accessibilityProblems(page), [])
    await picture('io numbers on a telephone')
    await continueButton(page).tap()
    t.equal(await resultOf(page), JSON.stringify({ whole: 13, price: -5.5, precise: -0.25, from: -7 }))
    t.equal(await page.getByRole('button', { name: 'Change sign' }).count(), 0, 'answered fields keep none')

    await start(page, home, 'below_zero')
    t.equal(await sign(field('Above')).count(), 0)
    await sign(field('Cold')).tap()
    await page.keyboard.type('17')
    t.equal(await page.locator('input[type="range"]').first().inputValue(), '-17')
    await sign(field('None')).tap()
    await field('Above').fill('1')
    t.same(await accessibilityProblems(page), [])
    await picture('io sliders on a telephone')
    await continueButton(page).tap()
    t.equal(await resultOf(page), JSON.stringify({ cold: -17, above: 1, none: 2 }))

    await start(page, home, 'spreadsheet')
    await page.locator('td').nth(2).tap()
    await page.keyboard.type('-1')
    t.equal(
      await page.locator('td input').first().getAttribute('inputmode'),
      null,
      'a cell brings the whole keyboard',
    )
  },
  { isPhone: true },
)

await stage.scenario(t, 'a minus of its own is for fingers only', async ({ t, page }) => {
  await start(page, home, 'number')
  t.equal(await page.getByRole('button', { name: 'Change sign' }).count(), 0)
})

await stage.scenario(
  t,
  'all optional: nothing is required and nothing complains',
  async ({ t, page, picture }) => {
    await start(page, home, 'all_optional')
    await shown(page.locator('.ProseMirror'))
    await shown(page.locator('td').first())
    for (const label of ['text', 'email', 'number', 'date', 'time', 'datetime', 'select single', 'search'])
      await page.locator(`text="${label}"`).last().click()
    await page.keyboard.press('Escape')
    t.equal(await errors(page).count(), 0)
    await picture('io all optional')
    t.same(await accessibilityProblems(page), [])
    await continueButton(page).click()
    t.equal(
      await resultOf(page),
      JSON.stringify([null, null, null, null, false, ...Array.from({ length: 10 }, () => null)]),
    )
  },
)
