/**
 * What the tests of a file share: one node in a process of its own, one browser, and for each scenario a window with
 * a fresh context. A scenario fails when the page throws or writes an error to its console, apart from the browser's
 * own words about requests that failed, and leaves a screenshot behind when anything in it fails.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { packageRoot } from '../../lib/root.js'
import { artifactsFolder, axeSource, openBrowser } from '../support/chromium.js'
import { eventually } from '../support/eventually.js'
import { type Seeded, type ServerOptions, TestServer } from '../support/server.js'

/** How long anything on screen is waited for, in ms. */
const waitMsMax = 15_000

/** A window of the browser, with what its page complained about. */
export interface Window {
  readonly page: Page
  readonly context: BrowserContext
  readonly complaints: readonly string[]
}

export interface WindowOptions {
  readonly signedIn?: boolean
  /** As a browser would that does not know content policies: what they keep from running runs. */
  readonly ignoresPolicy?: boolean
  /** Where the browser is, another place than the node and the hosts: an IANA name. */
  readonly timeZone?: string
  /** A telephone: a narrow screen and fingers. */
  readonly isPhone?: boolean
}

export interface Scenario extends Window {
  readonly t: Test
  /** Another window, sharing the session of the first. */
  another(): Promise<Window>
  /** Keeps a picture of the screen as it is. */
  picture(name: string): Promise<void>
}

export class Stage {
  readonly server: TestServer
  readonly #browser: Browser
  readonly #hosts: ChildProcess[] = []
  #cookie: { name: string; value: string } | null = null

  private constructor(server: TestServer, browser: Browser) {
    this.server = server
    this.#browser = browser
  }

  /** Starts node and browser; both end with the test file. */
  static async open(t: Test, options: ServerOptions = {}): Promise<Stage> {
    return await Stage.on(t, await TestServer.start(options))
  }

  /** The same on a node that runs already. */
  static async on(
    t: Test,
    server: TestServer,
    stop: () => Promise<unknown> = () => server.stop(),
  ): Promise<Stage> {
    const browser = await openBrowser()
    const stage = new Stage(server, browser)
    t.teardown(async () => {
      for (const host of stage.#hosts) host.kill()
      await browser.close()
      await stop()
      // SDKs go on reconnecting for ever, some even after they were closed.
      setTimeout(() => process.exit(), 500).unref()
    })
    return stage
  }

  /** Makes a person with an organization; later windows are signed in as them. */
  async seed(): Promise<Seeded> {
    const seeded = await this.server.seed()
    const cookie = await this.server.signIn(seeded.user.email, seeded.password)
    const [name = '', value = ''] = cookie.split(/=(.*)/s)
    this.#cookie = { name, value }
    return seeded
  }

  /** Starts the sample host in a process of its own and resolves once it is connected. */
  startDemoHost(key: string): Promise<void> {
    return this.startHost(key, 'dist/lib/node/demo-host.js')
  }

  /** The same for any script that says `connected`; it gets the address and the key as the sample host does. */
  async startHost(key: string, script: string): Promise<void> {
    const child = spawn(process.execPath, [join(packageRoot, script)], {
      env: { PATH: process.env.PATH ?? '', DEMO_ENDPOINT: this.server.endpoint, DEMO_KEY: key },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#hosts.push(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output = (output + data.toString()).slice(-10_000)
      })
    }
    await eventually(() => {
      if (!output.includes('connected')) throw new Error(`the host did not connect: ${output}`)
    })
  }

  async openWindow(options: WindowOptions = {}): Promise<Window> {
    const context = await this.#browser.newContext({
      bypassCSP: options.ignoresPolicy === true,
      locale: 'en-US',
      ...(options.timeZone !== undefined && { timezoneId: options.timeZone }),
      ...(options.isPhone === true
        ? { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
        : { viewport: { width: 1280, height: 720 } }),
      baseURL: this.server.address,
    })
    context.setDefaultTimeout(waitMsMax)
    if (this.#cookie && options.signedIn !== false) {
      await context.addCookies([{ ...this.#cookie, url: this.server.address }])
    }
    return watched(await context.newPage())
  }

  /** A named test with a window of its own. */
  scenario(
    t: Test,
    name: string,
    play: (scenario: Scenario) => Promise<void>,
    options: WindowOptions = {},
  ): Promise<unknown> {
    return t.test(name, async t => {
      const window = await this.openWindow(options)
      const windows: Window[] = [window]
      const picture = (what: string) => pictureOf(window.page, what)
      let played = false
      try {
        await play({
          ...window,
          t,
          picture,
          another: async () => {
            const other = watched(await window.context.newPage())
            windows.push(other)
            return other
          },
        })
        for (const { complaints } of windows) t.same(complaints, [], 'the page has nothing to complain about')
        played = true
      } finally {
        if (!played || !t.passing()) await picture(`failed ${name}`).catch(() => undefined)
        await window.context.close()
      }
    })
  }
}

function watched(page: Page): Window {
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(error.stack ?? error.message))
  page.on('console', message => {
    if (message.type() !== 'error') return
    const text = message.text()
    // A refused or broken request is the browser's own news; what the page makes of it is tested.
    if (/^Failed to load resource|^WebSocket connection to/.test(text)) return
    complaints.push(text)
  })
  return { page, context: page.context(), complaints }
}

async function pictureOf(page: Page, name: string): Promise<void> {
  mkdirSync(artifactsFolder, { recursive: true })
  const file = name.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  await page.screenshot({ path: join(artifactsFolder, `${file}.png`) })
}

/** Waits until exactly one element matches and is visible; more than one is a failure. */
export async function shown(locator: Locator): Promise<Locator> {
  await locator.waitFor({ state: 'visible' })
  return locator
}

/** Waits until nothing visible matches. */
export async function gone(locator: Locator): Promise<void> {
  await eventually(async () => {
    const visible = await locator.filter({ visible: true }).count()
    if (visible > 0) throw new Error(`${visible} still visible: ${locator}`)
  }, waitMsMax)
}

/** Waits until the text content of the one element that matches is this, blanks collapsed. */
export async function reads(locator: Locator, expected: string | RegExp): Promise<void> {
  await eventually(async () => {
    const text = ((await locator.textContent({ timeout: 1_000 })) ?? '').replace(/\s+/g, ' ').trim()
    if (typeof expected === 'string' ? text !== expected : !expected.test(text)) {
      throw new Error(`${locator} reads ${JSON.stringify(text)}, not ${expected}`)
    }
  }, waitMsMax)
}

/** Waits until the value of the one field that matches is this. */
export async function holds(locator: Locator, expected: string): Promise<void> {
  await eventually(async () => {
    const value = await locator.inputValue({ timeout: 1_000 })
    if (value !== expected) throw new Error(`${locator} holds ${JSON.stringify(value)}, not ${expected}`)
  }, waitMsMax)
}

/**
 * Notes from now on, in the next document too, what the elements that match read while they are visible: what is there
 * for a moment only would be missed by looking. Resolves to what waits until one of them has read, or reads, a text.
 */
export async function noting(page: Page, selector: string): Promise<(expected: string) => Promise<void>> {
  const name = JSON.stringify(selector)
  const script = `{
    const texts = new Set()
    const look = () => {
      for (const element of document.querySelectorAll(${name}))
        if (element.checkVisibility()) texts.add(element.textContent)
    }
    window.noted = { ...window.noted, [${name}]: texts }
    new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true })
    look()
  }`
  await page.addInitScript(script)
  await page.evaluate(script)
  return expected =>
    eventually(async () => {
      const texts = await page.evaluate<string[]>(`[...window.noted[${name}]]`)
      if (!texts.includes(expected)) throw new Error(`never read ${expected}: ${texts.join(' | ')}`)
    }, waitMsMax)
}

/** Presses New transaction and waits until nothing of the run before is on screen: it stays there for a moment. */
export async function startAnew(page: Page): Promise<void> {
  const before = await page.locator('main').elementHandle()
  await page.getByRole('button', { name: 'New transaction' }).click()
  await before?.waitForElementState('hidden')
}

/** Waits until the path of the page's address is this. */
export async function isAt(page: Page, path: string | RegExp): Promise<void> {
  await eventually(() => {
    const { pathname, search } = new URL(page.url())
    const here = pathname + search
    if (typeof path === 'string' ? here !== path : !path.test(here))
      throw new Error(`at ${here}, not ${path}`)
  }, waitMsMax)
}

/** The button that sends the one form that waits. */
export function continueButton(page: Page): Locator {
  return page.locator('button[data-pw="continue-button"]')
}

/** Waits for the end of a transaction and returns the text of its result, '' when it has none. */
export async function resultOf(page: Page, kind = 'Completed'): Promise<string> {
  await reads(page.locator('[data-test-id="result-type"]'), kind)
  const result = page.locator('[data-test-id="transaction-result"]')
  return (await result.count()) === 0 ? '' : ((await result.textContent()) ?? '')
}

interface AxeResults {
  readonly violations: readonly {
    readonly id: string
    readonly impact: string | null
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
  }[]
}

/** What axe-core finds wrong with the page as it is, apart from the rules left out: one line each. */
export async function accessibilityProblems(page: Page, leftOut: readonly string[] = []): Promise<string[]> {
  if (await page.evaluate('typeof axe === "undefined"')) await page.evaluate(axeSource())
  // Colours that fade in are judged by what they end as.
  const results = await page.evaluate<AxeResults>(`(async () => {
    await Promise.all(document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished.catch(() => undefined)))
    return axe.run(document, { resultTypes: ['violations'] })
  })()`)
  const violations = results.violations.filter(({ id }) => !leftOut.includes(id))
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, failureSummary = '' }) => `${id} (${impact}): ${html} — ${failureSummary}`),
  )
}
