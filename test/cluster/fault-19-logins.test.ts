/**
 * Fault 19: a flood of sign-ins, many accounts from many addresses and one account from all of them. Who guesses is told
 * to wait, few hashes wait, nobody else is locked out, and all others wait hardly longer: who is in the middle of a run,
 * loads a page, reads the API, or signs in from an address of their own.
 */
import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { pause, percentile } from '../bench/figures.js'
import { RawHost } from '../bench/raw-host.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { memoryMb } from './measure.js'

t.setTimeout(1_800_000)
const isLong = process.env.TEST_LONG !== undefined
/** Beside other tests, either time says more about those. */
const skip = !isLong && 'measured in npm run test:long'
/** Rest and flood by turns, so that whatever else the machine does slows both alike. */
const turns = isLong ? 4 : 1
const turnMs = isLong ? 5_000 : 4_000
const attackers = 50
/** Who signs in besides: each as often as people do, which is not ten times in ten minutes. */
const peopleCount = isLong ? 24 : 4
/** An attacker's pause after each answer. More attack than may wait, so that some are always refused at once. */
const attackerPauseMs = 1_000
/** Below this, a wait says nothing about the node. */
const unnoticedMs = 60
const memoryMbMax = 150

const server = await TestServer.start({ flags: ['--http:trusted-proxies', 'loopback'] })
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const place = { organization: seeded.organization.slug, environment: 'production' }
t.teardown(() => server.stop())

interface Answered {
  readonly status: number
  readonly body: { code?: string; message?: string }
  readonly retryAfter: string | null
}

async function signIn(email: string, password: string, from: string): Promise<Answered> {
  const response = await fetch(`${server.address}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: server.address, 'x-forwarded-for': from },
    body: JSON.stringify({ email, password }),
  })
  const body = (await response.json()) as Answered['body']
  return { status: response.status, body, retryAfter: response.headers.get('retry-after') }
}

/** Somebody with an account of their own at an address of their own, who has signed in from there before. */
async function person(name: string, from: string): Promise<{ email: string; signIn(): Promise<Answered> }> {
  const email = `${name}@example.com`
  const { password } = seeded
  await server.admin('createUser', { email, firstName: name, lastName: 'Honest', password })
  return { email, signIn: () => signIn(email, password, from) }
}

/** Everybody else: what each kind of them waits, in ms, while `isMeasured`. */
class Others {
  readonly waitsMs = new Map<string, number[]>()
  #isOver = false
  #running: Promise<void>[] = []
  #failed: unknown = null

  do(what: string, everyMs: number, work: () => Promise<void>): void {
    const again = async (): Promise<void> => {
      while (!this.#isOver) {
        const startedMs = performance.now()
        await work()
        const list = this.waitsMs.get(what) ?? []
        list.push(performance.now() - startedMs)
        this.waitsMs.set(what, list)
        await pause(everyMs)
      }
    }
    this.#running.push(
      again().catch((error: unknown) => {
        this.#failed ??= error
      }),
    )
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
    if (this.#failed !== null) throw this.#failed
  }
}

t.test('row 19: a login flood slows down nobody else and locks nobody out', async t => {
  const eve = await person('eve', '198.51.100.1')
  const people = [eve]
  while (people.length <= peopleCount)
    people.push(await person(`ada${people.length}`, `198.51.100.${1 + people.length}`))
  for (const one of people) t.match(await one.signIn(), { status: 200 })

  const browser = await BrowserClient.connect(server.address, cookie)
  const answered = new Map<string, () => void>()
  const host = await RawHost.connect(server.endpoint, seeded.liveKey, ['asks'], {
    started: () => undefined,
    answered: (_host, transactionId) => answered.get(transactionId)?.(),
  })
  t.teardown(() => {
    browser.close()
    host.close()
  })
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'asks' }))

  let question = 0
  const roundTrip = async (): Promise<void> => {
    question += 1
    const label = `Question ${question}`
    const isAnswered = new Promise<void>(resolve => answered.set(transactionId, resolve))
    host.ask(transactionId, label)
    const { step } = await browser.event(
      'transaction.render',
      data => data.step.call.toRender[0]?.label === label,
    )
    const { id: renderId, inputGroupKey } = step.call
    const answer = { transactionId, requestId: randomUUID(), inputGroupKey, renderId }
    await browser.ask('transaction.answer', {
      ...answer,
      kind: 'RETURN',
      choice: 'continue',
      values: ['yes'],
    })
    await isAnswered
    browser.events.length = 0
  }
  const get = async (path: string, accept: string): Promise<void> => {
    const response = await fetch(`${server.address}${path}`, { headers: { cookie, accept } })
    await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`${path} was answered ${response.status}`)
  }
  const history = `/api/v1/organizations/${place.organization}/environments/${place.environment}/transactions`
  const refusedHonest: number[] = []
  let signedIn = 0
  const everybody = (): Others => {
    const others = new Others()
    others.do('a round trip of a run', 25, roundTrip)
    others.do('a page', 50, () => get(`/dashboard/${place.organization}/actions`, 'text/html'))
    others.do('a read of the API', 100, () => get(history, 'application/json'))
    others.do('a sign-in', 300, async () => {
      signedIn += 1
      const { status } = (await people[1 + (signedIn % peopleCount)]?.signIn()) ?? { status: 0 }
      if (status !== 200) refusedHonest.push(status)
    })
    return others
  }

  const statuses = new Map<number, number>()
  let refusal: Answered | null = null
  let guesses = 0
  /** Each from an address of its own: accounts that nobody has, one that somebody has, and one from all of them. */
  const flood = async (isOver: () => boolean): Promise<void> => {
    const attack = async (index: number): Promise<void> => {
      await pause((index * attackerPauseMs) / attackers)
      while (!isOver()) {
        guesses += 1
        const email = guesses % 3 === 0 ? eve.email : `somebody-${guesses % 500}@example.com`
        const got = await signIn(email, `guess ${guesses}`, `203.0.113.${1 + index}`)
        statuses.set(got.status, (statuses.get(got.status) ?? 0) + 1)
        if (got.status === 429) refusal = got
        await pause(attackerPauseMs)
      }
    }
    await Promise.all(Array.from({ length: attackers }, (_, index) => attack(index)))
  }

  /** By what they do, in ms. */
  const atRest = new Map<string, number[]>()
  const meanwhile = new Map<string, number[]>()
  const keep = (all: Map<string, number[]>, { waitsMs }: Others): void => {
    for (const [what, list] of waitsMs) all.set(what, [...(all.get(what) ?? []), ...list])
  }
  // The engine compiles what it meets often.
  const first = everybody()
  await pause(turnMs)
  await first.stop()
  const before = memoryMb(server)
  let memoryMbSeen = before
  for (let turn = 0; turn < turns; turn++) {
    const resting = everybody()
    await pause(turnMs)
    await resting.stop()
    keep(atRest, resting)

    let isOver = false
    const flooding = flood(() => isOver)
    const beside = everybody()
    try {
      await pause(turnMs)
      memoryMbSeen = Math.max(memoryMbSeen, memoryMb(server))
      await beside.stop()
      t.match(await eve.signIn(), { status: 200 }, 'whom they guess for signs in where they have before')
    } finally {
      isOver = true
      await flooding
    }
    keep(meanwhile, beside)
  }

  t.same(refusedHonest, [], 'who is honest is never refused')
  t.same([...statuses.keys()].sort(), [401, 429], 'guesses are wrong or refused')
  const told = refusal as Answered | null
  t.equal(told?.body.code, 'too-many-requests')
  t.match(told?.body.message, /Try again/)
  t.ok((statuses.get(429) ?? 0) > (statuses.get(401) ?? 0), 'most are refused without being looked at')
  t.ok(memoryMbSeen - before < memoryMbMax, `${(memoryMbSeen - before).toFixed(0)} MB more meanwhile`)
  t.comment(
    `${guesses} guesses: ${[...statuses].map(([status, count]) => `${count} × ${status}`).join(', ')}`,
  )
  for (const [what, rest] of atRest) {
    const waits = meanwhile.get(what) ?? []
    const [restMs, meanwhileMs] = [percentile(rest, 0.99), percentile(waits, 0.99)]
    const words = `${what}: p99 ${meanwhileMs.toFixed(1)} ms of ${waits.length}, ${restMs.toFixed(1)} ms of ${rest.length} at rest`
    const medians = `median ${percentile(waits, 0.5).toFixed(1)} ms, ${percentile(rest, 0.5).toFixed(1)} ms at rest`
    t.comment(`${words}; ${medians}`)
    t.ok(meanwhileMs <= Math.max(unnoticedMs, restMs * 2), words, { skip })
  }
})
