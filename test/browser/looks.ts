/** How a screen looks: four pictures (light and dark, desktop and phone), and what axe finds wrong in each of them. */
import type { Page } from 'playwright-core'
import { accessibilityProblems, type Scenario } from './stage.js'

const sizes = [
  ['desktop', { width: 1280, height: 720 }],
  ['phone', { width: 390, height: 844 }],
] as const

/** Leaves the page light and on a desktop, as it was. */
export async function looks({ t, page, picture }: Pick<Scenario, 't' | 'page' | 'picture'>, name: string) {
  for (const [device, size] of sizes) {
    await page.setViewportSize(size)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await settled(page)
      await picture(`${name} ${device} ${colorScheme}`)
      t.same(await accessibilityProblems(page), [], `${name}, ${device}, ${colorScheme}`)
      t.notOk(await isTooWide(page), `${name}, ${device}: nothing sticks out`)
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(sizes[0][1])
}

async function settled(page: Page): Promise<void> {
  await page.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
}

/** True when the page can be scrolled sideways. */
function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate<boolean>('document.documentElement.scrollWidth > document.documentElement.clientWidth')
}
