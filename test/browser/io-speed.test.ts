/**
 * How heavy and how quick: the bytes of the first load, how long until one can type, what moves meanwhile, and how long a
 * key takes to be on screen in a form of 100
 * fields and above a table of 10,000 rows. The figures are printed; the bounds are wide, machines differ.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { packageRoot } from '../../lib/root.js'
import { ioStage, start } from './io-stage.js'
import { continueButton, resultOf } from './stage.js'

t.setTimeout(300_000)
const scriptBytesMax = 250_000
const keyMsMax = 100
/** From the address to a letter in the first field. */
const usableMsMax = 10_000
/** A tenth of what counts as good. */
const shiftMax = 0.01
const { stage, home } = await ioStage(t)

/** Milliseconds from a key going down until the frame with its letter is painted, per key: median and slowest. */
async function typing(page: Page, text: string): Promise<{ median: number; slowest: number }> {
  await page.evaluate(`{
    window.keyMs = []
    document.addEventListener('keydown', event => {
      const at = event.timeStamp
      requestAnimationFrame(() => setTimeout(() => window.keyMs.push(performance.now() - at)))
    }, { capture: true })
  }`)
  await page.keyboard.type(text, { delay: 30 })
  await page.waitForFunction(`window.keyMs.length >= ${text.length}`)
  const times = (await page.evaluate<number[]>('window.keyMs')).sort((a, b) => a - b)
  return { median: times[Math.floor(times.length / 2)] ?? 0, slowest: times.at(-1) ?? 0 }
}

await stage.scenario(t, 'the first load is under 250 KB of script', async ({ t, page }) => {
  const loaded = new Set<string>()
  page.on('response', response => {
    const { pathname } = new URL(response.url())
    if (pathname.endsWith('.js')) loaded.add(pathname)
  })
  await page.goto(`${home}/`, { waitUntil: 'networkidle' })
  const bytes = [...loaded].map(path => {
    const file = join(packageRoot, 'dist/dashboard', path)
    return statSync(existsSync(`${file}.gz`) ? `${file}.gz` : file).size
  })
  const sum = bytes.reduce((all, size) => all + size, 0)
  t.comment(`first load: ${Math.round(sum / 1000)} KB of script in ${loaded.size} files, gzip`)
  t.ok(loaded.size > 0)
  t.ok(sum < scriptBytesMax, `${sum} bytes`)
  const heavy = [...loaded].filter(path => /rich-text|spreadsheet|highlight|markdown/.test(path))
  t.same(heavy, [], 'what only some methods need comes with them')
  const names = readdirSync(join(packageRoot, 'dist/dashboard/assets'))
  t.ok(
    names.some(name => name.startsWith('rich-text-editor')),
    'which are files of their own',
  )
})

await stage.scenario(t, 'an action opened by its address can be typed into soon', async ({ t, page }) => {
  await page.addInitScript(`{
    window.longMs = 0
    new PerformanceObserver(list => {
      for (const { duration } of list.getEntries()) window.longMs += duration - 50
    }).observe({ type: 'longtask', buffered: true })
  }`)
  await page.goto(`${home}/actions/text`)
  await page.locator('input[type="text"]:focus').waitFor()
  const { painted, usable, blocked } = await page.evaluate<Record<string, number>>(`new Promise(done => {
    document.activeElement.addEventListener('input', () => requestAnimationFrame(() => setTimeout(() => done({
      painted: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      usable: performance.now(),
      blocked: window.longMs,
    }))))
    document.execCommand('insertText', false, 'a')
  })`)
  const told = [painted, usable, blocked].map(ms => Math.round(ms ?? Number.NaN))
  t.comment(
    `first words after ${told[0]} ms, a letter typed after ${told[1]} ms, ${told[2]} ms of long tasks`,
  )
  t.ok((usable ?? Number.POSITIVE_INFINITY) < usableMsMax, `${told[1]} ms`)
})

await stage.scenario(
  t,
  'nothing moves while a form is waited for, and what is heavy comes',
  async ({ t, page }) => {
    await page.addInitScript(`{
    window.shifts = []
    new PerformanceObserver(list => {
      for (const { hadRecentInput, value } of list.getEntries()) if (!hadRecentInput) window.shifts.push(value)
    }).observe({ type: 'layout-shift', buffered: true })
  }`)
    for (const [slug, end] of [
      ['wait', 'input[type="text"]'],
      ['rich_text', '.ProseMirror'],
      ['spreadsheet', 'td'],
      ['metadata', '[data-test-id="result-type"]'],
    ] as const) {
      await start(page, home, slug)
      await page.locator(end).first().waitFor()
      await page.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
      const shifts = await page.evaluate<number[]>('window.shifts')
      const sum = shifts.reduce((all, value) => all + value, 0)
      t.comment(`${slug}: moved by ${sum.toFixed(5)}`)
      t.ok(sum < shiftMax, `${slug}: ${sum}`)
    }
  },
)

await stage.scenario(t, 'typing in a form of 100 fields', async ({ t, page }) => {
  await start(page, home, 'many_fields')
  const field = page.getByLabel('Field 50', { exact: true })
  await field.fill('')
  await field.focus()
  const { median, slowest } = await typing(page, 'the quick brown fox jumps over it')
  t.comment(`a key in 100 fields: median ${median.toFixed(1)} ms, slowest ${slowest.toFixed(1)} ms`)
  t.ok(median < keyMsMax, `median ${median} ms`)
  t.equal(await field.inputValue(), 'the quick brown fox jumps over it')
  await continueButton(page).click()
  t.equal(await resultOf(page), '100')
})

await stage.scenario(t, 'typing into the filter of 10,000 rows', async ({ t, page }) => {
  await start(page, home, 'table_large')
  await resultOf(page)
  const filter = page.locator('input[placeholder="Filter"]')
  await filter.focus()
  const { median, slowest } = await typing(page, 'person 123')
  t.comment(`a key above 10,000 rows: median ${median.toFixed(1)} ms, slowest ${slowest.toFixed(1)} ms`)
  t.ok(median < keyMsMax, `median ${median} ms`)
  const startedMs = Date.now()
  await page.locator('[data-pw-search="person 123"]').waitFor()
  t.comment(`its rows after ${Date.now() - startedMs} ms, of which 500 are the pause`)
})
