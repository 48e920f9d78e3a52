/** What of a cluster's state deserves a person's attention, in sentences, the worst first. Pure. */
import type { ClusterStatus } from '../http/index.js'

const partitionsNamedMax = 8

/** The first characters of a node's id, enough to tell the nodes of one cluster apart. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}

export function problemsOf(status: Omit<ClusterStatus, 'problems'>): string[] {
  const { nodes, partitions, factor, degraded, copiesMissing, unserved } = status
  const problems: string[] = []
  if (unserved > 0) {
    const ids = partitions.filter(place => place.servedBy === null).map(place => place.partition)
    const named = ids.slice(0, partitionsNamedMax).join(', ') + (ids.length > partitionsNamedMax ? ' …' : '')
    problems.push(`${counted(unserved, 'partition')} served by no node that answered: ${named}.`)
  }
  for (const { id, condition, report, serves, copies } of nodes) {
    const name = `Node ${shortId(id)}`
    if (report !== null) {
      if (report.notReady.length > 0) problems.push(`${name} is not ready: ${report.notReady.join(', ')}.`)
      if (report.damages > 0) {
        problems.push(`${name} has set aside ${counted(report.damages, 'damaged thing')} on its disk.`)
      }
    } else if (condition === 'refused') problems.push(`${name} is gone: its port refuses connections.`)
    else if (condition === 'silent') problems.push(`${name} is not heard.`)
    else problems.push(`${name} did not answer.`)
    if (report === null && serves + copies > 0) {
      problems.push(`${name} still counts for ${counted(serves + copies, 'copy', 'copies')}.`)
    }
  }
  if (degraded > 0) {
    const why =
      nodes.filter(node => node.report !== null).length < factor
        ? ` It takes ${counted(factor, 'node')}.`
        : ' Missing copies are made by themselves.'
    problems.push(
      `${counted(degraded, 'partition')} with fewer than ${factor} copies (${copiesMissing} missing): a lost disk may lose data.${why}`,
    )
  }
  return problems
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
