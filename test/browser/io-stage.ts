/** A stage with the host that has one action per IO method, live, and the way into its actions. */
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import type { Seeded } from '../support/server.js'
import { isAt, Stage } from './stage.js'

export async function ioStage(t: Test): Promise<{ stage: Stage; home: string; seeded: Seeded }> {
  const stage = await Stage.open(t)
  const seeded = await stage.seed()
  await stage.startHost(seeded.liveKey, 'dist/test/support/io-host.js')
  return { stage, seeded, home: `/dashboard/${seeded.organization.slug}` }
}

/** Opens an action by its address and waits until it has said something. */
export async function start(page: Page, home: string, slug: string): Promise<void> {
  await page.goto(`${home}/actions/${slug}`)
  await isAt(page, `${home}/actions/${slug}`)
  await page.locator('main form, [data-test-id="result-type"], [data-pw-label]').first().waitFor()
}
