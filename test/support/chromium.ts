/**
 * A real Chromium for tests: an installed one where there is one, otherwise the one that comes with
 * `@sparticuz/chromium` from npm, which needs nothing of the machine, not even libraries.
 *
 * What can go wrong: that package unpacks itself into the temporary folder, file by file, and takes a half-written file
 * for a finished one. Test files run side by side, each with a temporary folder of its own, and may be interrupted; so it
 * unpacks into a fresh folder and what is complete is renamed into a place that stays.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { packageRoot } from '../../lib/root.js'

const require = createRequire(import.meta.url)
/** Required, not imported: an import reads two megabytes of it for the names that it exports, which takes as long again. */
const { chromium } = require('playwright-core') as typeof import('playwright-core')

/** Where screenshots go; git ignores it. */
export const artifactsFolder = join(packageRoot, 'test-artifacts')

const installed = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** Starts a browser. Whoever opens it closes it. */
export async function openBrowser(): Promise<Browser> {
  mkdirSync(artifactsFolder, { recursive: true })
  const executablePath = installed.find(path => existsSync(path)) ?? (await unpacked())
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--font-render-hinting=none',
    ],
  })
}

/** The source of axe-core, to be evaluated in a page. */
export function axeSource(): string {
  return require('axe-core').source as string
}

/** Where the browser from npm is, for all tests of the machine; its own settings name the fonts it brings by this path. */
const place = '/tmp'

/** The path of the browser from npm, unpacked once per machine. */
async function unpacked(): Promise<string> {
  // Read when the package is loaded: it then also brings the libraries that a bare container lacks.
  process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs20.x'
  const { default: sparticuz } = await withTemporary(place, () => import('@sparticuz/chromium'))
  const isThere = existsSync(join(place, 'chromium')) && existsSync(join(place, 'al2023', 'lib'))
  if (isThere) return join(place, 'chromium')
  const own = mkdtempSync(join(place, 'interval-chromium-'))
  await withTemporary(own, () => sparticuz.executablePath())
  // The browser itself last: it is what says that all is there.
  for (const name of readdirSync(own).sort((a, b) => Number(a === 'chromium') - Number(b === 'chromium'))) {
    try {
      renameSync(join(own, name), join(place, name))
    } catch (error) {
      // Another test file was faster with a folder; its own is as good.
      if (!existsSync(join(place, name))) throw error
    }
  }
  rmSync(own, { recursive: true, force: true })
  return join(place, 'chromium')
}

/** Does something while this is the temporary folder. */
async function withTemporary<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  const before = process.env.TMPDIR
  process.env.TMPDIR = folder
  try {
    return await work()
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
}
