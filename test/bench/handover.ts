/**
 * A node joins two others that hold 10,000 transactions which wait for an answer. Some others are answered all the time
 * meanwhile: their longest round trip shows how long a session pauses. Reference of the pause: the longest one before.
 */
import { TestCluster } from '../support/cluster.js'
import { pause, print } from './figures.js'
import type { RawHost } from './raw-host.js'
import { answerRender, connectHosts, type Place, startRuns } from './round-trips.js'

const waitingCount = 10_000
const windows = 100
const liveCount = 32
const beforeMs = 5_000

function longest(samplesMs: readonly number[]): string {
  return Math.max(...samplesMs).toFixed(0)
}

export async function handover(): Promise<void> {
  const cluster = await TestCluster.start(2)
  const place: Place = { hostsAt: cluster.node(0), browsersAt: cluster.node(1), seeded: await cluster.seed() }
  let samplesMs: number[] = []
  let isOver = false
  const askedAtMs = new Map<string, number>()
  const ask = (host: RawHost, transactionId: string): void => {
    if (isOver) return
    askedAtMs.set(transactionId, performance.now())
    void host.ask(transactionId, 'Your name')
  }
  const hosts = await connectHosts(place, {
    started: ask,
    answered(host, transactionId) {
      samplesMs.push(performance.now() - (askedAtMs.get(transactionId) ?? 0))
      setTimeout(() => ask(host, transactionId), 50)
    },
  })
  const waiting = await startRuns(place, windows, waitingCount / windows)
  const live = await startRuns(place, liveCount, 1, answerRender)
  await pause(beforeMs)
  const before = samplesMs
  samplesMs = []
  const startedAtMs = performance.now()
  await cluster.grow()
  const joinedAtMs = performance.now()
  // What a process costs while it starts on the same machine is not what a hand-over costs.
  const starting = samplesMs
  samplesMs = []
  await cluster.settled(3)
  const settledAtMs = performance.now()
  await pause(1_000)
  isOver = true
  const held = (await cluster.status(2)).partitions.filter(({ serving }) => serving).length
  print({
    name: 'handover',
    value: (settledAtMs - joinedAtMs) / 1_000,
    unit: `s until the new node leads its ${held} of 256 partitions, ${waitingCount} transactions in all`,
    reference: (joinedAtMs - startedAtMs) / 1_000,
    target: 'none',
  })
  print({
    name: 'handover-pause',
    value: Math.max(...samplesMs),
    unit: `ms, longest of ${samplesMs.length} round trips meanwhile; ${longest(starting)} while the node started`,
    reference: Math.max(...before),
    target: 'value <= 250',
  })
  for (const browser of [...waiting, ...live]) browser.close()
  for (const host of hosts) host.close()
  await cluster.stop()
}
