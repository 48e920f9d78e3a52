/** Schedules with a real node, a real SDK and a real kill: an action every second, and each second once. */
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { sdkHost } from '../support/sdk-host.js'
import { type Seeded, TestServer } from '../support/server.js'

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

t.test('every second an action, through a kill of the node', { timeout: 180_000 }, async t => {
  const server = await TestServer.start()
  t.teardown(() => server.stop())
  const seeded = await server.seed()
  let calls = 0
  const host = sdkHost('2.0.0', {
    endpoint: server.endpoint,
    apiKey: seeded.liveKey,
    actions: {
      tick: async () => {
        calls += 1
        return { calls }
      },
    },
    backgroundable: ['tick'],
  })
  await host.listen()
  t.teardown(() => host.close())
  const asker = await signedIn(server, seeded)
  const organization = seeded.organization.slug
  const definition = {
    organization,
    action: 'tick',
    cron: '* * * * * *',
    timeZone: 'Europe/Berlin',
    missed: 'all',
    overlap: 'allow',
  }
  const created = await eventually(async () => {
    const answer = await asker.ask('POST', '', definition)
    if (answer.status !== 201) throw new Error(JSON.stringify(answer))
    return answer
  })
  const id = created.body.id ?? ''
  const succeeded = async (count: number) => {
    const runs = await asker.history(id)
    const good = runs.filter(run => run.status === 'SUCCESS')
    if (good.length < count) throw new Error(`${good.length} of ${count}: ${JSON.stringify(runs.slice(-3))}`)
  }
  await eventually(() => succeeded(4), 60_000)
  await server.kill()
  await server.run()
  await eventually(() => succeeded(15), 60_000)
  const paused = await asker.ask('POST', `/${id}/pause`)
  t.match(paused, { status: 200, body: { paused: true, upcoming: [] } })
  const runs = await eventually(async () => {
    const all = await asker.history(id)
    const open = all.filter(run => !['SUCCESS', 'FAILURE', 'SKIPPED'].includes(run.status))
    if (open.length > 0) throw new Error(JSON.stringify(open))
    return all
  }, 60_000)
  const seconds = runs.map(run => Date.parse(run.dueAt) / 1_000)
  const gaps = seconds.slice(1).filter((second, index) => second - (seconds[index] ?? 0) !== 1)
  t.same(gaps, [], 'each second has one run, those of the kill too')
  t.same(
    runs.filter(run => run.status !== 'SUCCESS' || run.ticks !== 1),
    [],
    'and each has succeeded',
  )
  t.equal(new Set(runs.map(run => run.transactionId)).size, runs.length)
  t.equal(calls, runs.length, 'the host has run each once')
})
