/**
 * Kills a node of a ring under load and measures, for a run whose leader, host's edge or window's edge it was, how long
 * it takes until the window has its question back and an answer of it is accepted.
 */
import { eventually } from '../support/eventually.js'
import type { RigHost, RingRig } from './ring-rig.js'
import type { SteadyRun } from './steady-run.js'

export const roles = ['owner', 'host edge', 'window edge'] as const
export type Role = (typeof roles)[number]

export interface Failover {
  readonly role: Role
  readonly version: string
  /** Times since the kill, in ms. */
  readonly detectedMs: number | null
  readonly swappedMs: number | null
  /** The window is attached (again) and has its question. */
  readonly promptMs: number
  readonly acceptedMs: number
  /** The host has the answer and asks the next question. */
  readonly nextQuestionMs: number
}

/** Sets a run up for this role, kills the node, measures, starts the node again and waits until all copies are back. */
export async function failover(rig: RingRig, role: Role, host: RigHost, turn: number): Promise<Failover> {
  const { cluster } = rig
  const hostNode = rig.nodeOf(host)
  const others = [0, 1, 2].filter(node => node !== hostNode)
  const [one = 0, two = 0] = turn % 2 === 0 ? others : others.reverse()
  const owners = await cluster.owners()
  const leads = (node: number) => owners.filter(owner => owner === node).length
  const place = {
    // The node that was started last may lead nothing yet.
    owner: leads(one) > 0 ? { owner: one, edge: two } : { owner: two, edge: one },
    'host edge': leads(one) > 0 ? { owner: one, edge: two } : { owner: two, edge: one },
    'window edge': leads(two) > 0 ? { owner: two, edge: one } : { owner: hostNode, edge: one },
  }[role]
  const victim = { owner: place.owner, 'host edge': hostNode, 'window edge': place.edge }[role]
  const run = await rig.run({ host, mode: 'prompt', ...place })
  await run.pause()
  const outputs = cluster.servers.map(server => server.output.length)
  const atMs = Date.now()
  const killed = cluster.node(victim).kill()
  const { promptMs, acceptedMs } = await goesOn(run, atMs)
  await eventually(() => {
    if (run.open === null) throw new Error(`no next question: ${run.state}`)
  }, 60_000)
  const nextQuestionMs = Date.now() - atMs
  await killed
  run.resume()
  const since = (event: string): number | null => {
    const times = cluster.servers.flatMap((server, index) =>
      index === victim ? [] : timesOf(server.output.slice(outputs[index]), event).filter(at => at >= atMs),
    )
    return times.length > 0 ? Math.min(...times) - atMs : null
  }
  const phases = { detectedMs: since('node.silent'), swappedMs: since('partitions.taken-over') }
  await cluster.node(victim).run()
  await cluster.covered()
  return { role, version: host.version, ...phases, promptMs, acceptedMs, nextQuestionMs }
}

async function goesOn(run: SteadyRun, atMs: number): Promise<{ promptMs: number; acceptedMs: number }> {
  await eventually(async () => {
    const { steps } = await run.attach()
    if (run.open === null) throw new Error(`no question among ${steps.length} steps`)
  }, 60_000)
  const promptMs = Date.now() - atMs
  await run.answer()
  return { promptMs, acceptedMs: Date.now() - atMs }
}

/** Times of the log lines with this event. */
function timesOf(output: string, event: string): number[] {
  return output
    .split('\n')
    .filter(line => line.includes(event))
    .map(line => Date.parse(line.split(' ')[0] ?? ''))
    .filter(time => !Number.isNaN(time))
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

export function summary(failovers: readonly Failover[]): string[] {
  const line = (name: string, of: (failover: Failover) => number | null): string => {
    const values = failovers.map(of).filter(value => value !== null)
    if (values.length === 0) return `${name}: not seen`
    return `${name}: p50 ${quantile(values, 0.5)} ms, slowest ${Math.max(...values)} ms (${values.length})`
  }
  return [
    line('detected', failover => failover.detectedMs),
    line('swapped', failover => failover.swappedMs),
    line('question back', failover => failover.promptMs),
    line('answer accepted', failover => failover.acceptedMs),
    line('next question', failover => failover.nextQuestionMs),
  ]
}
