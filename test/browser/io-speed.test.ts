/**
 * How heavy and how quick: the bytes of the first load, and how long a key takes to be on screen in a form of 100
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
