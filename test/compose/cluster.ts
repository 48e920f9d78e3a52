/**
 * The Compose cluster for real: the image is built, and while one run is answered step by step through nginx, with the
 * real SDK as its host, a container is killed, one is added, all are restarted one after the other, and everything is
 * taken down and up again. Every answer that was acknowledged must reach the host, once and in order.
 *
 * `npm run test:compose`; without a container engine it says so and ends. `TEST_COMPOSE_IMAGE=ready` builds no image.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import type { Step } from '../../lib/clients/wire.js'
import type { ClusterStatus } from '../../lib/http/index.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { sdkHost, type TestHost } from '../support/sdk-host.js'
import { findEngine } from './engine.js'

const stepsMax = 200
const secret = () => randomBytes(24).toString('hex')
const port = await freePort()
const engine = findEngine({
  project: `interval-test-${process.pid}`,
  file: 'compose/cluster.yml',
  environment: {
    HTTP_PORT: String(port),
    SECRET: secret(),
    WSS_API_SECRET: secret(),
    AUTH_COOKIE_SECRET: secret(),
    POSTGRES_PASSWORD: secret(),
    DEMO: '',
    APP_URL: '',
  },
})
const address = `http://127.0.0.1:${port}`
const nodes = ['node-1', 'node-2', 'node-3']

if (typeof engine === 'string') {
  t.pass(`skipped: ${engine}`, { skip: engine })
} else {
  const { compose, docker, exec } = engine
  t.comment(engine.what)
  t.teardown(async () => {
    await compose('down', '-v', '--remove-orphans').catch((error: unknown) => t.comment(String(error)))
  })

  const status = async (service: string): Promise<ClusterStatus> =>
    JSON.parse(await exec(service, ['interval-server', 'ring', 'status', '--json'])) as ClusterStatus

  /** Until so many nodes answer and every partition is served in as many copies as wanted; `busy`: each serves some. */
  const settled = (count: number, { service = 'node-1', busy = true } = {}) =>
    eventually(
      async () => {
        const { nodes: known, problems, unserved, degraded } = await status(service)
        const answering = known.filter(node => node.report !== null)
        const idle = answering.filter(node => node.serves === 0).length
        if (answering.length !== count || unserved > 0 || degraded > 0 || (busy && idle > 0)) {
          throw new Error(`${answering.length} of ${count} nodes, ${idle} idle: ${problems.join(' ')}`)
        }
      },
      180_000,
      500,
    )

  const admin = async <Result>(operation: string, argument: unknown): Promise<Result> =>
    JSON.parse(
      await exec('node-1', ['interval-server', 'admin', operation], JSON.stringify(argument)),
    ) as Result

  // --- the run ---

  const answers: string[] = []
  const received: string[] = []
  let isLast = false
  let host: TestHost | undefined
  let browser: BrowserClient | undefined
  const transactionId = randomUUID()
  /** Longest time from losing a socket or asking until an answer was taken and the next question shown, in ms. */
  let slowestMs = 0

  const persist = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        if (!(error instanceof Error) || error.constructor.name !== 'NotConnectedError') throw error
        do await new Promise(resolve => setTimeout(resolve, 2))
        while (host?.isConnected !== true)
      }
    }
  }

  /** The question that is open: by event, or by the snapshot after a new connection. */
  const openStep = async (window: BrowserClient, label: string): Promise<Step> => {
    const find = (steps: readonly Step[]) =>
      steps.find(step => step.call.toRender.some(component => component.label === label))
    return await eventually(
      async () => {
        if (window.closeCode !== null) await window.open()
        const shown = find(window.all('transaction.render').map(event => event.step))
        if (shown) return shown
        const snapshot = find((await bounded(window.ask('transaction.attach', { transactionId }))).steps)
        if (snapshot) return snapshot
        throw new Error(`${label} is not shown`)
      },
      60_000,
      50,
    )
  }

  /** Answers the next questions, whatever happens to sockets and nodes meanwhile. */
  const answerNext = async (
    t: { same(found: unknown, wanted: unknown, message: string): unknown },
    count: number,
  ): Promise<void> => {
    const window = browser
    if (!window) throw new Error('there is no browser')
    for (let done = 0; done < count; done += 1) {
      const number = answers.length + 1
      const startedMs = performance.now()
      const step = await openStep(window, `Question ${number}`)
      const value = `answer ${number}`
      const requestId = randomUUID()
      await eventually(
        async () => {
          if (window.closeCode !== null) await window.open()
          const { inputGroupKey, id: renderId } = step.call
          await bounded(
            window.ask('transaction.answer', {
              transactionId,
              requestId,
              inputGroupKey,
              renderId,
              kind: 'RETURN',
              values: [value],
            }),
          )
        },
        60_000,
        50,
      )
      answers.push(value)
      slowestMs = Math.max(slowestMs, performance.now() - startedMs)
    }
    await eventually(() => {
      if (received.length < answers.length) throw new Error(`the host has ${received.length} answers`)
    }, 60_000)
    t.same(received, answers, `${answers.length} answers so far, each once and in order`)
  }

  const takeSlowest = (): string => {
    const text = `slowest step ${Math.round(slowestMs)} ms`
    slowestMs = 0
    return text
  }

  t.test('the image is built', { timeout: 1_200_000 }, async t => {
    if (process.env.TEST_COMPOSE_IMAGE === 'ready') return t.comment('as it is')
    await docker('build', '--network', 'host', '-t', 'interval-server', '.')
    const user = await docker('run', '--rm', '--entrypoint', 'id', 'interval-server', '-u')
    t.not(user.trim(), '0', 'it does not run as root')
  })

  t.test('up: three nodes, each with a third', { timeout: 400_000 }, async t => {
    await compose('up', '-d', '--no-build')
    await eventually(() => status('node-1'), 120_000, 1_000)
    await settled(3)
    const { nodes: known } = await status('node-1')
    t.comment(`partitions: ${known.map(node => node.serves).join(', ')}`)
    t.equal((await get('/health/ready')).status, 200)
    t.match((await get('/login', 'text/html')).text, '<html')
    t.equal((await get('/metrics')).status, 404, 'figures are not for everybody')
  })

  t.test('an action through nginx', { timeout: 120_000 }, async t => {
    const email = 'ada@example.com'
    const password = secret()
    const user = await admin<{
      id: string
      ownedOrganizations: { id: string; slug: string; environments: { id: string; slug: string }[] }[]
    }>('createUser', { email, firstName: 'Ada', lastName: 'Test', password, createOrganization: true })
    const organization = user.ownedOrganizations[0]
    const environment = organization?.environments.find(each => each.slug === 'production')
    if (!organization || !environment) throw new Error('there is no organization')
    const { key } = await admin<{ key: string }>('createApiKey', {
      kind: 'PRODUCTION',
      organizationId: organization.id,
      environmentId: environment.id,
      userId: user.id,
      label: 'test',
    })
    host = sdkHost('2.0.0', {
      endpoint: `${address.replace('http', 'ws')}/websocket`,
      apiKey: key,
      retryIntervalMs: 300,
      backgroundable: ['ask'],
      actions: {
        ask: async io => {
          while (!isLast && received.length < stepsMax) {
            const label = `Question ${received.length + 1}`
            received.push(await persist(() => io.input.text(label)))
          }
          return received.length
        },
      },
    })
    await host.listen()
    const place = { organization: organization.slug, environment: 'production' }
    const response = await fetch(`${address}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: address, connection: 'close' },
      body: JSON.stringify({ email, password }),
    })
    t.equal(response.status, 200, 'signed in')
    const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    browser = await BrowserClient.connect(address, cookie)
    const window = browser
    await eventually(() => window.ask('transaction.start', { ...place, transactionId, slug: 'ask' }))
    await answerNext(t, 5)
    t.comment(takeSlowest())
  })

  t.test('a container is killed', { timeout: 400_000 }, async t => {
    const id = (await compose('ps', '-q', 'node-2')).trim()
    await docker('kill', id)
    const going = answerNext(t, 10)
    const figures = { slowestMs: 0, failed: 0 }
    const killedMs = performance.now()
    while (performance.now() - killedMs < 3_000) {
      const startedMs = performance.now()
      const { status } = await get('/health/live')
      if (status !== 200) figures.failed += 1
      figures.slowestMs = Math.max(figures.slowestMs, performance.now() - startedMs)
    }
    t.equal(figures.failed, 0, 'every request was answered by another node')
    t.comment(`slowest request while a node is dead: ${Math.round(figures.slowestMs)} ms`)
    await going
    t.comment(takeSlowest())
    await docker('start', id)
    await settled(3)
  })

  t.test('a container is added', { timeout: 400_000 }, async t => {
    await compose('up', '-d', '--no-build', 'node-4')
    await settled(4)
    await answerNext(t, 5)
    t.comment(takeSlowest())
  })

  t.test('a rolling restart', { timeout: 600_000 }, async t => {
    for (const service of [...nodes, 'node-4']) {
      const restarted = compose('restart', service)
      await answerNext(t, 3)
      await restarted
      // Partitions go back to it later, at their leisure.
      await settled(4, { service: service === 'node-1' ? 'node-2' : 'node-1', busy: false })
      await answerNext(t, 2)
      t.comment(`${service}: ${takeSlowest()}`)
    }
  })

  t.test('down, and up again with the same volumes', { timeout: 600_000 }, async t => {
    await compose('down', '--remove-orphans')
    await compose('up', '-d', '--no-build', ...nodes, 'node-4', 'nginx')
    await eventually(() => status('node-1'), 120_000, 1_000)
    await settled(4)
    await answerNext(t, 9)
    isLast = true
    await answerNext(t, 1)
    const { result } = (await browser?.event('transaction.completed')) ?? {}
    t.equal(result?.status, 'SUCCESS', 'the run has come to its end')
    host?.close()
    browser?.close()
  })
}

async function get(path: string, accept = '*/*'): Promise<{ status: number; text: string }> {
  const response = await fetch(address + path, { headers: { accept, connection: 'close' } })
  return { status: response.status, text: await response.text() }
}

/** A request on a socket that has just died is never answered: asked again under the same ids. */
async function bounded<Result>(request: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), 3_000)
  })
  try {
    return await Promise.race([request, late])
  } finally {
    clearTimeout(timer)
  }
}
