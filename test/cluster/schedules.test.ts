/** Schedules with real nodes, a real SDK and a real kill: an action every second, and each second once. */
import t, { type Test } from 'tap'
import { partitionOf } from '../../lib/partitions/index.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { sdkHost, type TestHost } from '../support/sdk-host.js'
import { type Seeded, TestServer } from '../support/server.js'

t.setTimeout(300_000)

interface Run {
  readonly id: string
  readonly status: string
  readonly dueAt: string
  readonly details: string | null
  readonly ticks: number
  readonly transactionId: string | null
}

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown> & { id?: string; runs?: Run[]; next?: string | null }
}

/** Asks the schedules of one server in somebody's name. */
class Asker {
  constructor(
    readonly server: TestServer,
    readonly headers: Record<string, string>,
  ) {}

  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.server.address}/api/v1/schedules${path}`, {
      method,
      headers: { ...this.headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: (await response.json()) as Answer['body'] }
  }

  /** All runs the history has, the oldest first. */
  async history(id: string): Promise<Run[]> {
    const runs: Run[] = []
    let before: string | null | undefined = null
    do {
      const { body }: Answer = await this.ask('GET', `/${id}/runs${before ? `?before=${before}` : ''}`)
      runs.unshift(...(body.runs ?? []).toReversed())
      before = body.next
    } while (before)
    return runs
  }
}

async function signedIn(server: TestServer, { user, password }: Seeded): Promise<Asker> {
  const cookie = await server.signIn(user.email, password)
  return new Asker(server, { cookie, origin: server.address })
}

/** An action that a schedule runs every second, and a host that counts. */
class EverySecond {
  id = ''
  calls = 0
  readonly #host: TestHost

  constructor(
    server: TestServer,
    readonly seeded: Seeded,
  ) {
    this.#host = sdkHost('2.0.0', {
      endpoint: server.endpoint,
      apiKey: seeded.liveKey,
      actions: {
        tick: async () => {
          this.calls += 1
          return { calls: this.calls }
        },
      },
      backgroundable: ['tick'],
    })
  }

  /** Makes a schedule that is to the taste of `accepts`, and lets it begin. */
  async start(
    asker: Asker,
    accepts: (id: string) => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<void> {
    await this.#host.listen()
    const definition = {
      organization: this.seeded.organization.slug,
      action: 'tick',
      cron: '* * * * * *',
      timeZone: 'Europe/Berlin',
      missed: 'all',
      overlap: 'allow',
      paused: true,
    }
    do {
      if (this.id) await asker.ask('DELETE', `/${this.id}`)
      // What hosts declare is written a moment later.
      this.id = await eventually(async () => {
        const { body, status } = await asker.ask('POST', '', definition)
        if (status !== 201) throw new Error(JSON.stringify(body))
        return body.id ?? ''
      })
    } while (!(await accepts(this.id)))
    await asker.ask('POST', `/${this.id}/resume`)
  }

  close(): void {
    this.#host.close()
  }

  /** Until so many runs have succeeded. */
  async succeeded(asker: Asker, count: number): Promise<void> {
    await eventually(async () => {
      const runs = await asker.history(this.id)
      const good = runs.filter(run => run.status === 'SUCCESS')
      if (good.length < count)
        throw new Error(`${good.length} of ${count}: ${JSON.stringify(runs.slice(-3))}`)
    }, 60_000)
  }

  /** Pauses it, waits for what goes on, and looks whether each second was run once. */
  async check(t: Test, asker: Asker): Promise<void> {
    const paused = await asker.ask('POST', `/${this.id}/pause`)
    t.match(paused, { status: 200, body: { paused: true, upcoming: [] } })
    const runs = await eventually(async () => {
      const all = await asker.history(this.id)
      const open = all.filter(run => !['SUCCESS', 'FAILURE', 'SKIPPED'].includes(run.status))
      if (open.length > 0) throw new Error(JSON.stringify(open))
      return all
    }, 60_000)
    const seconds = runs.map(run => Date.parse(run.dueAt) / 1_000)
    const gaps = seconds.slice(1).filter((second, index) => second - (seconds[index] ?? 0) !== 1)
    t.same(gaps, [], 'each second has one run, those of the kill too')
    const others = runs.filter(run => run.status !== 'SUCCESS' || run.ticks !== 1)
    t.same(others, [], 'and each has succeeded')
    t.equal(new Set(runs.map(run => run.transactionId)).size, runs.length)
    t.equal(this.calls, runs.length, 'the host has run each once')
    t.comment(`${runs.length} seconds`)
  }
}

t.test('every second an action, through a kill of the only node', async t => {
  const server = await TestServer.start()
  t.teardown(() => server.stop())
  const seeded = await server.seed()
  const everySecond = new EverySecond(server, seeded)
  t.teardown(() => everySecond.close())
  const asker = await signedIn(server, seeded)
  await everySecond.start(asker)
  await everySecond.succeeded(asker, 4)
  await server.kill()
  await server.run()
  await everySecond.succeeded(asker, 15)
  await everySecond.check(t, asker)
})

t.test('every second an action, while the node dies that leads the schedule', async t => {
  const cluster = await TestCluster.start(3)
  t.teardown(() => cluster.stop())
  const seeded = await cluster.seed()
  const everySecond = new EverySecond(cluster.node(0), seeded)
  t.teardown(() => everySecond.close())
  const asker = await signedIn(cluster.node(0), seeded)
  const leaderOf = async (id: string) => (await cluster.owners())[partitionOf(`schedule:${id}`)] ?? null
  // Host and browser stay where they are, so it is to be another node that dies.
  await everySecond.start(asker, async id => (await leaderOf(id)) !== 0)
  await everySecond.succeeded(asker, 4)
  const victim = (await leaderOf(everySecond.id)) ?? 0
  t.not(victim, 0, 'another node leads it')
  await cluster.node(victim).kill()
  await everySecond.succeeded(asker, 20)
  await everySecond.check(t, asker)
})

t.test('what cannot be run says why, and what waits for a host begins when it comes', async t => {
  const server = await TestServer.start()
  t.teardown(() => server.stop())
  const seeded = await server.seed()
  const seen: { email: string; params: unknown }[] = []
  const makeHost = () =>
    sdkHost('2.0.0', {
      endpoint: server.endpoint,
      apiKey: seeded.liveKey,
      actions: {
        good: async (_io, { params, user }) => {
          seen.push({ email: user.email, params })
        },
        bad: async () => {
          throw new Error('It broke.')
        },
        attended: async () => undefined,
      },
      backgroundable: ['good', 'bad'],
    })
  let host = makeHost()
  t.teardown(() => host.close())
  await host.listen()
  const asker = new Asker(server, { authorization: `Bearer ${seeded.liveKey}` })
  const make = (action: string) =>
    eventually(async () => {
      const body = { action, cron: '0 0 1 1 *', timeZone: 'Asia/Kathmandu', params: { depth: 3 } }
      const answer = await asker.ask('POST', '', body)
      if (answer.status !== 201) throw new Error(JSON.stringify(answer))
      return answer.body.id ?? ''
    })
  const newest = async (id: string): Promise<Run | undefined> =>
    (await asker.ask('GET', `/${id}`)).body.runs?.[0]
  const ended = (id: string) =>
    eventually(async () => {
      const run = await newest(id)
      if (run?.status !== 'SUCCESS' && run?.status !== 'FAILURE') throw new Error(JSON.stringify(run))
      return run
    }, 60_000)

  const [good, bad, attended] = [await make('good'), await make('bad'), await make('attended')]
  for (const id of [good, bad, attended]) t.equal((await asker.ask('POST', `/${id}/run`)).status, 202)
  t.match(await ended(good), { status: 'SUCCESS' })
  t.match(seen, [{ email: seeded.user.email, params: { depth: 3 } }], 'as its runner, with its parameters')
  t.match(await ended(bad), { status: 'FAILURE', details: /It broke/ })
  t.match(await ended(attended), { status: 'FAILURE', details: /background/, transactionId: null })

  host.close()
  await eventually(async () => {
    const metrics = await (await fetch(`${server.address}/metrics`)).text()
    if (!/sockets\{kind="host"\} 0$/m.test(metrics)) throw new Error(metrics)
  })
  const { body } = await asker.ask('POST', `/${good}/run`)
  t.match(await newest(good), { id: body.id, status: 'STARTING' })
  host = makeHost()
  await host.listen()
  t.match(await ended(good), { status: 'SUCCESS' })
})
