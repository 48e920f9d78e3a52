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
      const reasons = report.notReady.filter(reason => reason !== 'isolated')
      if (reasons.length > 0) problems.push(`${name} is not ready: ${reasons.join(', ')}.`)
      if (reasons.length < report.notReady.length)
        problems.push(`${name} is isolated. ${whatToDo(nodes, id)}`)
      if (report.rewound > 0) {
        problems.push(
          `${name} has seen newer rows of ${counted(report.rewound, 'partition')} than the database holds: it was set back. They stand still; \`interval-server ring adopt --accept-loss\` goes on with what the nodes have.`,
        )
      }
      if (report.refusing > 0) {
        problems.push(
          `${name} refuses what browsers and callers write to ${counted(report.refusing, 'partition')}, and holds what hosts say: the nodes with the copies do not answer.`,
        )
      }
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

/** For a node that sees too few of the others. */
function whatToDo(nodes: ClusterStatus['nodes'], id: string): string {
  const others = nodes.filter(node => node.id !== id && node.report === null)
  if (others.length === 0) return 'It sees the others again in a moment.'
  const gone = others.filter(node => node.condition === 'refused')
  const names = others.map(node => `${shortId(node.id)} (${node.address ?? 'no address'})`).join(', ')
  const start =
    gone.length === others.length
      ? `Start the others again: ${names}.`
      : `Start the others again, or mend the network towards them: ${names}.`
  return `${start} If their disks are lost for good, \`interval-server ring adopt --accept-loss\` goes on with what this node has.`
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
