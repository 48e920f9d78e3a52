/** What actions show: headings, words, code, links, pictures, objects, metadata, grids. */
import { readFileSync } from 'node:fs'
import type { Locator } from 'playwright-core'
import t from 'tap'
import { ioStage, start } from './io-stage.js'
import { accessibilityProblems, continueButton, isAt, reads, resultOf, shown } from './stage.js'

t.setTimeout(300_000)
const { stage, home } = await ioStage(t)

await stage.scenario(t, 'headings, words, markup, code, links, objects', async ({ t, page, picture }) => {
  await start(page, home, 'displays')
  t.equal(await resultOf(page), '', 'nothing was returned')
  t.equal(await page.locator('[data-test-id="transaction-result"]').count(), 0)
  t.equal(await continueButton(page).count(), 0)
  await shown(page.locator('h2', { hasText: 'Level two' }))
  await shown(page.getByText('Described'))
  await shown(page.locator('h3', { hasText: 'Level three' }))
  await shown(page.locator('h4', { hasText: 'Level four' }))
  t.equal(await page.locator('a', { hasText: 'Inside' }).getAttribute('href'), `${home}/actions/text?a=1`)
  t.equal(await page.locator('a', { hasText: 'Outside' }).getAttribute('href'), 'https://example.com')
  await shown(page.locator('.prose h1', { hasText: 'Title' }))
  t.equal(await page.locator('.prose li').count(), 2)
  t.equal(await page.locator('.prose pre code').textContent(), 'const a = 1\n')
  await shown(page.locator('text="Markup"'))
  const markup = page.locator('.prose', { has: page.locator('u') })
  t.equal(await markup.locator('script, style, form, button, iframe, [style], [class], [onerror]').count(), 0)
  t.notMatch(await markup.textContent(), /Press/)
  for (const tag of ['h1', 'p', 'em', 'u']) t.equal(await markup.locator(tag).count(), 1)
  t.equal(await page.evaluate('window.broken'), undefined)
  await shown(page.locator('pre .hljs-keyword'))
  const source = 'const answer = 42\n  // indented'
  t.equal((await page.locator('figure pre code').textContent())?.trim(), source)
  const saving = page.waitForEvent('download')
  await page.locator('figure', { hasText: 'Source' }).getByRole('button', { name: 'Download' }).click()
  const file = await saving
  t.equal(file.suggestedFilename(), 'Source.ts')
  t.match(readFileSync(await file.path(), 'utf8'), source)
  for (const name of ['To an action', 'Old name'])
    t.equal(await page.locator('a', { hasText: name }).getAttribute('href'), `${home}/actions/text?name=Ada`)
  t.equal(await page.locator('a', { hasText: 'Away' }).getAttribute('href'), 'https://example.com')
  await shown(page.locator('text="Thing"'))
  for (const [key, value] of [
    ['yes', 'true'],
    ['none', 'null'],
    ['count', '15'],
    ['big', '5n'],
  ]) {
    const leaf = page.locator('dl', { has: page.locator(`dt:text-is("${key}")`) })
    t.equal(await leaf.locator('dd').textContent(), value)
  }
  t.equal(await page.locator('dd dd, dt dt, dd details, dt details').count(), 0)
  for (const [key, isOpen] of [
    ['small', true],
    ['large', false],
    ['list', true],
    ['map', true],
    ['set', true],
  ])
    t.equal(
      (await page
        .locator('details', { has: page.locator(`summary:text-is("${key}")`) })
        .getAttribute('open')) !== null,
      isOpen,
      String(key),
    )
  await page.locator('summary', { hasText: 'large' }).click()
  await picture('io displays')
  t.same(await accessibilityProblems(page, ['heading-order']), [])
  await page.locator('a', { hasText: 'To an action' }).click()
  await isAt(page, `${home}/actions/text?name=Ada`)
})

await stage.scenario(t, 'pictures and films of buffers, and ones that do not load', async ({ t, page }) => {
  await start(page, home, 'media')
  t.equal(await resultOf(page), 'seen')
  const pictures = page.locator('img[data-pw-display-image]')
  t.match((await pictures.first().getAttribute('src'))?.slice(0, 30), /^data:image\/png;base64,/)
  t.ok(((await pictures.first().getAttribute('src')) ?? '').length > 800_000)
  t.equal(await pictures.first().getAttribute('alt'), 'A dot')
  t.match(await pictures.first().getAttribute('class'), /w-img-medium/)
  t.match(await pictures.nth(1).getAttribute('class'), /w-img-small/)
  t.match(await pictures.nth(1).getAttribute('class'), /h-img-thumbnail/)
  for (const box of [await pictures.first().boundingBox(), await pictures.nth(1).boundingBox()])
    t.ok(box && box.width > 0 && box.height > 0)
  t.match((await page.locator('video[data-pw-display-video]').getAttribute('src'))?.slice(0, 5), /^data:/)
  for (const label of ['Picture', 'Far away', 'Film']) await shown(page.locator(`text="${label}"`))
})

await stage.scenario(t, 'pictures beside words: four sizes', async ({ t, page, picture }) => {
  await start(page, home, 'pictures')
  await shown(continueButton(page))
  /** Widths and heights of the pictures, which are nowhere to be had: the boxes keep them. */
  const sizes = async (place: Locator) =>
    Promise.all(
      (await place.locator('img').all()).map(async image => {
        const box = await image.boundingBox()
        return `${box?.width} ${box?.height}`
      }),
    )
  const usual = ['64 64', '96 96', '160 160', '256 256', '64 64']
  const inMenus = ['32 32', '64 64', '96 96', '128 128', '32 32']
  t.same(
    await sizes(page.locator('.iv-table')),
    usual.flatMap(size => [size, '160 96']),
  )
  t.same(await sizes(page.locator('dl')), usual)
  const menu = page.locator('.iv-select__menu')
  await page.getByLabel('One of them').click()
  t.same(await sizes(menu), inMenus)
  await picture('io pictures in options')
  // A mouse at rest, over whatever comes to lie under it, takes nothing from the keys.
  const box = await page.locator('[role="option"]').nth(3).boundingBox()
  await page.keyboard.press('Escape')
  await page.mouse.move((box?.x ?? 0) + 100, (box?.y ?? 0) + 30)
  await page.keyboard.press('ArrowDown')
  await shown(menu)
  await page.evaluate('new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByLabel('Another').click()
  t.same(await sizes(menu), inMenus)
  await page.keyboard.press('Enter')
  t.same(await accessibilityProblems(page, ['heading-order']), [])
  await picture('io pictures')
  await continueButton(page).click()
  const { one, found } = JSON.parse(await resultOf(page))
  t.same([one.label, found.name], ['small', 'thumbnail'])
})

await stage.scenario(t, 'metadata: three layouts, promised values arrive', async ({ t, page, picture }) => {
  await start(page, home, 'metadata')
  t.equal(await resultOf(page), 'shown')
  t.same(await page.locator('h4').allTextContents(), ['As grid', 'As list', 'As card'])
  for (const list of await page.locator('dl').all()) {
    await shown(list.locator('dd', { hasText: 'arrived' }))
    t.same(await list.locator('dt').allTextContents(), [
      'Plain',
      'Number',
      'Nothing',
      'Left out',
      'Later',
      'Soon',
      'Link',
      'Action',
      'Face',
    ])
    for (const value of ['words', '1,337', 'arrived', 'here', 'go', 'run', 'face'])
      t.equal(await list.locator(`dd >> text="${value}"`).count(), 1, value)
    t.equal(await list.locator('dd >> text="–"').count(), 2, 'what has no value is not waited for')
    t.equal(await list.locator('dd a', { hasText: 'go' }).getAttribute('href'), 'https://example.com')
    t.equal(await list.locator('dd a', { hasText: 'run' }).getAttribute('href'), `${home}/actions/text?id=1`)
  }
  await picture('io metadata')
  t.same(await accessibilityProblems(page, ['heading-order']), [])
})

await stage.scenario(t, 'grids: cards, menus, filter, pages, lazily', async ({ t, page, picture }) => {
  await start(page, home, 'grid')
  t.equal(await resultOf(page), 'shown')
  const cards = page.locator('.iv-grid').first()
  const items = cards.locator('[role="grid-cell"]')
  t.equal(await items.count(), 6)
  t.equal(await cards.locator('[data-pw-search] > [role="grid-cell"]').count(), 6, 'children of one parent')
  await shown(page.getByText('Thirty of them'))
  t.equal(await cards.getByText('1 - 6 of 30', { exact: true }).count(), 2)
  t.equal(
    await items.first().locator('a').getAttribute('href'),
    `${home}/actions/text`,
    'the empty parameter is left out',
  )
  t.equal(await items.nth(2).locator('a').getAttribute('href'), `${home}/actions/text?card=2`)
  await items.nth(1).locator('button', { hasText: 'Open options' }).click()
  t.equal(await page.locator('a', { hasText: 'Edit 1' }).getAttribute('href'), `${home}/actions/text?edit=1`)
  t.equal(await page.locator('button', { hasText: 'Off' }).isDisabled(), true)
  await picture('io grid')
  await page.keyboard.press('Escape')
  await cards.locator('[aria-label="Next page"]').first().click()
  await shown(cards.getByText('Card 6', { exact: true }))
  await cards.locator('input[placeholder="Filter"]').pressSequentially('number 29')
  await shown(cards.locator('[data-pw-search="number 29"]'))
  t.equal(await items.count(), 1)
  await cards.locator('button[aria-label="Clear filter"]').click()
  await cards.locator('input[placeholder="Filter"]').pressSequentially('s28')
  await shown(cards.locator('[data-pw-search="s28"]'))
  await reads(items, /^Card 28/)
  const lazy = page.locator('.iv-grid').nth(1)
  await shown(lazy.getByText('Person 1', { exact: true }))
  t.equal(await lazy.locator('[role="grid-cell"]').count(), 10)
  t.equal(await lazy.getByText('1 - 10 of 10,000', { exact: true }).count(), 2)
  await lazy.locator('[aria-label="Next page"]').first().click()
  await shown(lazy.getByText('Person 11', { exact: true }))
  await lazy.locator('input[placeholder="Filter"]').pressSequentially('person 500')
  await shown(lazy.locator('[data-pw-search="person 500"]'))
  t.equal(await lazy.getByText('1 - 10 of 11', { exact: true }).count(), 2)
  // The role of the items is none of ARIA's; suites written for the original look for it.
  t.same(await accessibilityProblems(page, ['aria-roles']), [])
})

await stage.scenario(t, 'progress: steps, without an end, through a list', async ({ t, page, picture }) => {
  await start(page, home, 'progress_shown')
  t.equal(await resultOf(page), 'shown')
  const bar = page.getByRole('progressbar', { name: 'Moving' })
  t.equal(await bar.getAttribute('aria-valuenow'), '1')
  t.equal(await bar.getAttribute('aria-valuemax'), '3')
  for (const words of ['Completed 1 of 3', 'Packing', 'Then the van', 'Thinking', 'All in boxes'])
    await shown(page.getByText(words, { exact: true }))
  t.same(await page.locator('main li').allTextContents(), ['KitchenAll in boxes', 'Cellar'])
  t.equal(await page.locator('main li').first().locator('svg').count(), 1, 'what is done is ticked off')
  t.equal(await page.locator('main li').nth(1).locator('svg').count(), 0)
  await picture('io progress')
  t.same(await accessibilityProblems(page), [])
})
