/** Choosing: one of a list, several of a list, and what a host finds while one types. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { eventuallyTrue } from '../support/eventually.js'
import { ioStage, start } from './io-stage.js'
import { accessibilityProblems, continueButton, gone, noting, reads, resultOf, shown } from './stage.js'

t.setTimeout(300_000)
const { stage, home } = await ioStage(t)

const errors = (page: Page) => page.locator('[data-pw="field-error"]')

await stage.scenario(
  t,
  'one of a list: mouse, keys, pictures, dates, defaults',
  async ({ t, page, picture }) => {
    await start(page, home, 'select_single')
    const menu = page.locator('.iv-select__menu')
    const chosen = page.locator('.iv-select__single-value')
    t.equal(await page.locator('.iv-select-container').count(), 4)
    t.same(await chosen.allTextContents(), ['Blue'], 'a default that is no option is dropped')
    await continueButton(page).click()
    t.equal(await errors(page).count(), 3)
    await page.getByText('Role', { exact: true }).click()
    t.equal(await menu.count(), 0, 'the label leads to the field and covers nothing')
    await page.keyboard.type('ed')
    await shown(menu)
    t.equal(await menu.locator('div div', { hasText: 'Editor' }).count(), 1)
    t.equal(await menu.locator('div div div').count(), 0, 'options hold no div')
    await page.keyboard.press('Enter')
    await gone(menu)
    await reads(chosen.first(), 'Editor')
    t.equal(await errors(page).count(), 2)
    await page.getByLabel('Team').click()
    await shown(menu.getByText('The first'))
    await shown(menu.locator('img[src="https://example.com/red.png"]'))
    await picture('io select menu')
    await page.keyboard.press('Escape')
    await page.getByLabel('Team').press('ArrowUp')
    await page.keyboard.press('ArrowUp')
    await page.keyboard.press('Enter')
    await reads(chosen.nth(1), 'Red')
    await page.getByLabel('When').click()
    await menu.locator('div div', { hasText: /Jan 2, 2023, 3:04/ }).click()
    await page.getByLabel('Wrong default').fill('zz')
    await shown(menu.getByText('No options'))
    await page.keyboard.press('Escape')
    await reads(errors(page), 'This field is required.')
    await page.getByLabel('Wrong default').click()
    await menu.locator('div div', { hasText: 'b' }).click()
    await gone(errors(page))
    t.same(await accessibilityProblems(page), [])
    await continueButton(page).click()
    const { plain, rich, when, wrong } = JSON.parse(await resultOf(page))
    t.same([plain, rich.value, wrong], ['Editor', 1, 'b'])
    t.equal(new Date(when).getTime(), new Date(2023, 0, 2, 3, 4).getTime())
  },
)

await stage.scenario(
  t,
  'what is given can be taken away, where it is optional',
  async ({ t, page, picture }) => {
    await start(page, home, 'select_given')
    const chosen = page.locator('.iv-select__single-value')
    const labels = page.locator('.iv-select__multi-value__label')
    t.same(await chosen.allTextContents(), ['Editor', 'Grace'])
    t.same(await labels.allTextContents(), ['Ada', 'Grace'])
    t.equal(await page.locator('input[value="1"]').isChecked(), true)
    t.equal(await page.locator('input[value="2"]').isChecked(), false)
    for (const words of ['One or both', 'Somebody we know']) await shown(page.getByText(words))
    await picture('io select given')
    t.same(await accessibilityProblems(page), [])
    const clear = page.getByRole('button', { name: 'Clear', exact: true })
    t.equal(await clear.count(), 1, 'what is required is changed, not cleared')
    await clear.click()
    t.same(await chosen.allTextContents(), ['Grace'])
    await gone(clear)
    t.equal(await page.locator(':focus').getAttribute('id'), await page.getByLabel('Role').getAttribute('id'))
    await page.getByText('One', { exact: true }).click()
    for (const name of ['Ada', 'Grace']) await page.locator(`[aria-label="Remove ${name}"]`).click()
    await continueButton(page).click()
    t.equal(
      await resultOf(page),
      JSON.stringify({ who: { id: 2, name: 'Grace', email: 'grace@example.com' } }),
    )
  },
)

await stage.scenario(t, 'several of a list: values keep their kinds, bounds hold', async ({ t, page }) => {
  await start(page, home, 'select_multiple')
  const boxes = page.locator('input[type="checkbox"]')
  const values = await Promise.all((await boxes.all()).map(box => box.getAttribute('value')))
  t.same(values.slice(0, 3), ['A', '3', 'true'])
  t.match(values[3], /^Wed Jul 20 2022/)
  t.same(values.slice(4), ['a', 'b'])
  t.equal(await page.locator('input[value="3"]').isChecked(), true)
  t.equal(await page.locator('input[value="true"]').isChecked(), true)
  t.equal(await page.locator('input:checked').count(), 2, 'a default that is no option is dropped')
  await page.getByText('A', { exact: true }).click()
  await continueButton(page).click()
  await reads(errors(page), 'Please make no more than 2 selections.')
  for (const value of ['A', '3', 'true']) await page.locator(`input[value="${value}"]`).click()
  await reads(errors(page), 'Please make at least 1 selection.')
  await boxes.nth(3).click()
  await page.locator('input[value="3"]').click()
  await gone(errors(page))
  await continueButton(page).click()
  const { some, wrong } = JSON.parse(await resultOf(page))
  t.same([some[0], new Date(some[1]).getFullYear(), wrong], [3, 2022, []])
})

await stage.scenario(t, 'search: waits, loads, finds; keys; several', async ({ t, page, picture }) => {
  await start(page, home, 'search')
  const field = page.getByLabel('Somebody')
  const results = page.locator('[data-pw-search-result]')
  t.equal(await page.locator('text="Loading..."').count(), 0)
  await continueButton(page).click()
  await reads(errors(page), 'This field is required.')
  await field.click()
  await results.nth(1).waitFor()
  t.match(await results.first().textContent(), /Ada/, 'the first results are there at once')
  // Old results are hidden.
  let menu = await noting(page, '.iv-select__menu')
  await field.pressSequentially('a')
  await menu('Loading...')
  await results.first().waitFor()
  t.equal(await page.locator('text="Loading..."').count(), 0)
  t.equal(await results.count(), 6)
  menu = await noting(page, '.iv-select__menu')
  await field.pressSequentially('zz')
  await menu('Loading...')
  await shown(page.locator('text="No results found."'))
  menu = await noting(page, '.iv-select__menu')
  await field.fill('rad')
  await menu('Loading...')
  await results.first().waitFor()
  await reads(results.first(), /Radia/)
  t.equal(await results.first().getAttribute('data-pw-search-result-focused'), 'true')
  await picture('io search')
  await results.first().click()
  await gone(results)
  t.equal(await field.inputValue(), '')
  await reads(page.locator('.iv-select__single-value[data-pw-selected-search-result]'), 'Radia')
  await gone(errors(page))
  const several = page.getByLabel('Several')
  const labels = page.locator('.iv-select__multi-value__label')
  t.same(await labels.allTextContents(), ['Ken'], 'the default is there')
  await several.pressSequentially('al')
  await results.first().waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await several.pressSequentially('gra')
  await results.first().waitFor()
  await results.first().click()
  t.same(await labels.allTextContents(), ['Ken', 'Donald', 'Grace'])
  await page.locator('[aria-label="Remove Ken"]').click()
  t.same(await labels.allTextContents(), ['Donald', 'Grace'])
  t.same(await accessibilityProblems(page), [])
  await continueButton(page).click()
  const { one, several: many } = JSON.parse(await resultOf(page))
  t.same([one.name, many.map((person: { name: string }) => person.name)], ['Radia', ['Donald', 'Grace']])
})

await stage.scenario(
  t,
  'search: an answer that comes late is not taken for the next',
  async ({ t, page }) => {
    let isAsked = false
    let renders = 0
    page.on('websocket', socket => {
      socket.on('framesent', ({ payload }) => {
        if (!String(payload).includes('queryTerm') || isAsked) return
        isAsked = true
        renders = 0
      })
      socket.on('framereceived', ({ payload }) => {
        if (String(payload).includes('"results"')) renders += 1
      })
    })
    await start(page, home, 'search_slow')
    const field = page.getByLabel('Slowly')
    const results = page.locator('[data-pw-search-result]')
    await field.pressSequentially('a')
    await shown(page.locator('text="Loading..."'))
    await eventuallyTrue('the question is out, its answer not here yet', () => isAsked)
    await field.pressSequentially('d')
    await eventuallyTrue('both questions are answered, twice each', () => renders >= 4)
    await page.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
    await results.first().waitFor()
    t.same(await results.allTextContents(), ['Ada'], 'not Ada and Alan, who begin with the first letter')
    await results.first().click()
    await continueButton(page).click()
    t.match(await resultOf(page), /ada@example/)
  },
)

await stage.scenario(t, 'search: one after the other on a page', async ({ t, page }) => {
  await start(page, home, 'search_twice')
  const results = page.locator('[data-pw-search-result]')
  const loading = page.locator('text="Loading..."')
  const chosen = page.locator('.iv-select__single-value[data-pw-selected-search-result]')
  for (const [label, typed, name] of [
    ['First person', 'gra', 'Grace'],
    ['Second person', 'rad', 'Radia'],
  ] as const) {
    const field = page.getByLabel(label)
    // Nothing that the other one found.
    const menu = await noting(page, '.iv-select__menu')
    await field.pressSequentially(typed)
    await menu('Loading...')
    await results.first().waitFor()
    t.same(await results.allTextContents(), [name])
    t.equal(await loading.count(), 0)
    await results.first().click()
    await gone(results)
    await reads(chosen.last(), name)
    await continueButton(page).click()
  }
  t.equal(await resultOf(page), JSON.stringify(['Grace', 'Radia']))
  t.same(await chosen.allTextContents(), ['Grace', 'Radia'], 'both stay on the page')
})
