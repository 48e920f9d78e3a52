/**
 * Files chosen in a real browser, sent to a real node, and read by a real SDK host: one, several, of certain types,
 * none, too large, sent again after a failure, and to places that the host has named.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Page } from 'playwright-core'
import t from 'tap'
import { limits } from '../../lib/limits.js'
import { freePort } from '../support/ports.js'
import { sdkHost } from '../support/sdk-host.js'
import { filesOf, uploadActions } from '../support/upload-actions.js'
import { accessibilityProblems, continueButton, gone, reads, resultOf, Stage, shown } from './stage.js'

t.setTimeout(120_000)
const stage = await Stage.open(t)
const seeded = await stage.seed()

/** A store of the host's own, at another origin; it remembers who came. */
const stored = new Map<string, { body: string; headers: IncomingMessage['headers'] }>()
const storePort = await freePort()
const store = createServer((request: IncomingMessage, response: ServerResponse) => {
  response.setHeader('access-control-allow-origin', '*')
  response.setHeader('access-control-allow-methods', 'PUT')
  response.setHeader('access-control-allow-headers', '*')
  const path = (request.url ?? '').split('?')[0] ?? ''
  if (request.method !== 'PUT') {
    response.end(request.method === 'GET' ? (stored.get(path)?.body ?? 'nothing') : '')
    return
  }
  let body = ''
  request.on('data', data => {
    body += data
  })
  request.on('end', () => {
    stored.set(path, { body, headers: request.headers })
    response.end()
  })
})
await new Promise<void>(resolve => store.listen(storePort, '127.0.0.1', resolve))
const storeAddress = `http://127.0.0.1:${storePort}`
t.teardown(() => store.close())

let asked: { name: string; type: string }[] = []
const generatePresignedUrls = async (file: { name: string; type: string }) => {
  asked.push(file)
  const path = `/${encodeURIComponent(file.name)}`
  return { uploadUrl: `${storeAddress}${path}?up=1`, downloadUrl: `${storeAddress}${path}` }
}

const host = sdkHost('2.0.0', {
  endpoint: stage.server.endpoint,
  apiKey: seeded.liveKey,
  actions: {
    ...uploadActions,
    elsewhere: async io => {
      const file = await filesOf(io).file('Choose a photo', { generatePresignedUrls })
      return { text: await file.text(), url: await file.url() }
    },
    elsewhere_many: async io => {
      const files = await filesOf(io).file('Choose photos', { generatePresignedUrls }).multiple()
      return (await Promise.all(files.map(file => file.text()))).join(' ')
    },
    back_home: async io => {
      const generate = async () => ({
        uploadUrl: `${stage.server.address}/api/v1/session`,
        downloadUrl: storeAddress,
      })
      await filesOf(io).file('Choose a photo', { generatePresignedUrls: generate })
    },
  },
})
await host.listen()
t.teardown(() => host.close())

const text = (name: string, body: string, mimeType = 'text/plain') => ({
  name,
  mimeType,
  buffer: Buffer.from(body),
})

async function start(page: Page, slug: string): Promise<void> {
  await page.goto(`/dashboard/${seeded.organization.slug}/actions/${slug}`)
  await shown(page.locator('input[type="file"]'))
}

/** Clicks the label, as people and suites do, and chooses. */
async function choose(page: Page, label: string, files: ReturnType<typeof text>[]): Promise<void> {
  const chooser = page.waitForEvent('filechooser')
  await page.locator(`text="${label}"`).click()
  await (await chooser).setFiles(files)
}

await stage.scenario(t, 'one file', async ({ t, page, picture }) => {
  await start(page, 'one')
  const input = page.locator('input').first()
  t.equal(
    await page.getByText('file').count(),
    0,
    'what invites to drop one is drawn: a field may be called so',
  )
  t.equal(await input.getAttribute('type'), 'file', 'the first input of the document is the field')
  t.equal(await input.getAttribute('multiple'), null)
  const id = await input.getAttribute('id')
  t.equal(await page.locator('label', { hasText: 'Choose a photo' }).getAttribute('for'), id)
  t.same(await accessibilityProblems(page), [])
  await continueButton(page).click()
  await reads(page.locator('[data-pw="field-error"]'), 'This field is required.')
  await picture('upload required')
  await choose(page, 'Choose a photo', [text('notes.txt', 'line one\nline two')])
  await shown(page.getByText('File selected', { exact: true }))
  await gone(page.locator('[data-pw="field-error"]'))
  await shown(page.getByText('Sent', { exact: true }))
  t.same(await accessibilityProblems(page), [])
  await picture('upload one')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'size17typetext/plainnamenotes.txtextension.txttextline one\nline two')
})

await stage.scenario(t, 'as it looks', async ({ page, picture }) => {
  await start(page, 'many')
  const pixel = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
    'base64',
  )
  await choose(page, 'Choose photos', [
    { name: 'pixel.png', mimeType: 'image/png', buffer: pixel },
    text('a rather long name of a file that does not fit into one line of a telephone.txt', 'A'),
  ])
  await shown(page.getByText('Sent', { exact: true }).nth(1))
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 720 })
      await picture(`upload ${colorScheme} ${width}`)
    }
  }
})

await stage.scenario(t, 'several: added, removed, sent', async ({ t, page, picture }) => {
  await start(page, 'many')
  t.not(await page.locator('input[type="file"]').getAttribute('multiple'), null)
  await choose(page, 'Choose photos', [text('a.txt', 'A'), text('b.txt', 'B')])
  await shown(page.getByText('2 files selected', { exact: true }))
  await choose(page, 'Choose photos', [text('c.txt', 'C')])
  await shown(page.getByText('3 files selected', { exact: true }))
  await page.getByRole('button', { name: 'Remove b.txt' }).press('Enter')
  await shown(page.getByText('2 files selected', { exact: true }))
  await picture('upload several')
  t.same(await accessibilityProblems(page), [])
  await continueButton(page).click()
  t.equal(await resultOf(page), 'a.txtAc.txtC')
})

await stage.scenario(t, 'another chosen in the moment in which one was sent', async ({ t, page }) => {
  await start(page, 'many')
  // After whoever sends has heard that it is sent, and before anything is drawn.
  await page.evaluate(`{
    let isFirst = true
    const { send } = XMLHttpRequest.prototype
    XMLHttpRequest.prototype.send = function (...words) {
      this.addEventListener('load', () => {
        if (!isFirst) return
        isFirst = false
        const chosen = new DataTransfer()
        chosen.items.add(new File(['B'], 'b.txt', { type: 'text/plain' }))
        const input = document.querySelector('input[type="file"]')
        input.files = chosen.files
        input.dispatchEvent(new Event('change', { bubbles: true }))
      })
      send.apply(this, words)
    }
  }`)
  await choose(page, 'Choose photos', [text('a.txt', 'A')])
  await shown(page.getByText('2 files selected', { exact: true }))
  await shown(page.getByText('Sent', { exact: true }).nth(1))
  await continueButton(page).click()
  t.equal(await resultOf(page), 'a.txtAb.txtB')
})

await stage.scenario(t, 'certain types only', async ({ t, page, picture }) => {
  await start(page, 'kinds')
  t.equal(await page.locator('input[type="file"]').getAttribute('accept'), '.csv,.json')
  await choose(page, 'Choose a table', [text('run.exe', 'MZ')])
  await shown(page.getByText('Please choose a file of type .csv, .json.'))
  await continueButton(page).click()
  await reads(page.locator('[data-pw="field-error"]'), 'Please choose a file of type .csv, .json.')
  await picture('upload wrong type')
  t.same(await accessibilityProblems(page), [])
  await choose(page, 'Choose a table', [text('rows.CSV', 'a,b', 'text/csv')])
  await continueButton(page).click()
  t.equal(await resultOf(page), 'size3typetext/csvnamerows.CSVextension.CSVtexta,b')
})

await stage.scenario(t, 'none, where none is needed', async ({ t, page }) => {
  await start(page, 'optional')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'nothing')
})

await stage.scenario(t, 'several, or none where none is needed', async ({ t, page }) => {
  await start(page, 'many_optional')
  await continueButton(page).click()
  t.equal(await resultOf(page), 'nothing')
  await start(page, 'many_optional')
  const field = page.locator('label', { hasText: 'Choose some if you like' })
  t.match(await field.textContent(), /\(optional\)$/)
  t.not(await page.locator('input[type="file"]').getAttribute('multiple'), null)
  await choose(page, 'Choose some if you like', [text('a.txt', 'A'), text('b.txt', 'B')])
  await shown(page.getByText('2 files selected', { exact: true }))
  for (const name of ['a.txt', 'b.txt']) await page.getByRole('button', { name: `Remove ${name}` }).click()
  await gone(page.getByText('selected'))
  await continueButton(page).click()
  t.equal(await resultOf(page), 'nothing', 'those that were taken away again are none')
  await start(page, 'many_optional')
  await choose(page, 'Choose some if you like', [text('a.txt', 'A'), text('b.txt', 'B')])
  await continueButton(page).click()
  t.equal(await resultOf(page), 'a.txt and b.txt')
})

await stage.scenario(t, 'too large: said at once, and another one can be chosen', async ({ t, page }) => {
  await start(page, 'one')
  // Too much for the driver to carry: made in the page.
  await page.evaluate(`{
    const input = document.querySelector('input[type="file"]')
    const chosen = new DataTransfer()
    chosen.items.add(new File([new Uint8Array(${limits.uploadBytesMax + 1})], 'huge.bin'))
    input.files = chosen.files
    input.dispatchEvent(new Event('change', { bubbles: true }))
  }`)
  await shown(page.getByText('“huge.bin” is larger than 32 MB.'))
  await choose(page, 'Choose a photo', [text('small.txt', 'small')])
  await continueButton(page).click()
  t.match(await resultOf(page), /small\.txt/)
})

await stage.scenario(t, 'Continue waits for what is on its way', async ({ t, page, picture }) => {
  await start(page, 'form')
  let letGo: () => void = () => undefined
  const held = new Promise<void>(resolve => {
    letGo = resolve
  })
  await page.route('**/api/v1/uploads/**', async route => {
    await held
    await route.continue()
  })
  await page.getByLabel('Title').fill('Holidays')
  await choose(page, 'Choose a picture', [text('photo.png', 'x'.repeat(300_000), 'image/png')])
  await continueButton(page).click()
  t.equal(await continueButton(page).isDisabled(), true)
  t.equal(await page.locator('[data-pw="field-error"]').count(), 0)
  await shown(page.getByRole('progressbar'))
  await picture('upload waiting')
  t.same(await accessibilityProblems(page), [])
  letGo()
  t.equal(await resultOf(page), 'titleHolidaysnamephoto.pngbytes300,000')
})

await stage.scenario(
  t,
  'a failure is tried again by hand; the rest of the form stays',
  async ({ t, page, picture }) => {
    await start(page, 'form')
    let isBroken = true
    await page.route('**/api/v1/uploads/**', async route => {
      if (isBroken)
        await route.fulfill({ status: 507, body: '{"code":"storage-full","message":"The disk is full."}' })
      else await route.continue()
    })
    await page.getByLabel('Title').fill('Holidays')
    await choose(page, 'Choose a picture', [text('photo.txt', 'abc')])
    await shown(page.getByText('The disk is full.'))
    await continueButton(page).click()
    await reads(page.locator('[data-pw="field-error"]'), 'The disk is full.')
    await picture('upload failed')
    t.same(await accessibilityProblems(page), [])
    isBroken = false
    await page.getByRole('button', { name: 'Try again' }).click()
    await shown(page.getByText('Sent', { exact: true }))
    await continueButton(page).click()
    t.equal(await resultOf(page), 'titleHolidaysnamephoto.txtbytes3')
  },
)

await stage.scenario(t, 'a file that was sent survives a reload', async ({ t, page }) => {
  await start(page, 'one')
  await choose(page, 'Choose a photo', [text('kept.txt', 'kept')])
  await shown(page.getByText('Sent', { exact: true }))
  await page.reload()
  await shown(page.getByText('File selected', { exact: true }))
  await continueButton(page).click()
  t.match(await resultOf(page), /kept\.txt/)
})

await stage.scenario(t, 'to where the host says', async ({ t, page }) => {
  await start(page, 'elsewhere')
  asked = []
  await choose(page, 'Choose a photo', [text('over there.txt', 'far away')])
  await shown(page.getByText('File selected', { exact: true }))
  await continueButton(page).click()
  t.equal(await resultOf(page), `textfar awayurl${storeAddress}/over%20there.txt`)
  t.same(asked, [{ name: 'over there.txt', type: 'text/plain' }])
  const sent = stored.get('/over%20there.txt')
  t.equal(sent?.headers['content-type'], 'text/plain')
  t.equal(sent?.headers.cookie, undefined)

  await start(page, 'elsewhere_many')
  await choose(page, 'Choose photos', [text('1.txt', 'one')])
  await shown(page.getByText('Sent', { exact: true }))
  await choose(page, 'Choose photos', [text('2.txt', 'two')])
  await shown(page.getByText('2 files selected', { exact: true }))
  await continueButton(page).click()
  t.equal(await resultOf(page), 'one two')
})

await stage.scenario(t, 'a host cannot make the browser write to us', async ({ t, page }) => {
  await start(page, 'back_home')
  const requests: string[] = []
  page.on('request', request => request.method() === 'PUT' && requests.push(request.url()))
  await choose(page, 'Choose a photo', [text('trap.json', '{}', 'application/json')])
  await shown(page.getByText('The action said nothing of use about where it is to be sent.'))
  t.same(requests, [])
})
