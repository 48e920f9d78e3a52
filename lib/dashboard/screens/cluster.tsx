/**
 * The cluster for operators, as `ring status` shows it, asked again every two seconds while somebody looks. When
 * it cannot be asked, what was known last stays on screen under a notice. Behind a balancer another node answers each
 * time, so nodes are shown in the order of their ids, and keep their colours.
 */
import { useEffect, useState } from 'react'
import type { ClusterStatus, NodeStatus, PartitionPlace } from '../../http/cluster-status.js'
import { Banner, Loading } from '../components/notice.js'
import { shortId } from '../format.js'
import { useServices } from '../services.js'
import { useTitle } from '../use-title.js'

const askMs = 2_000

export default function ClusterScreen() {
  useTitle('Cluster')
  const { status, problem } = useClusterStatus()
  return (
    <main className="mx-auto grid w-full max-w-5xl content-start gap-8 px-4 py-8 sm:px-8">
      <header className="grid gap-1">
        <h2 className="text-2xl font-semibold tracking-tight">Cluster</h2>
        {status !== null && <p className="text-muted">{summaryOf(status)}</p>}
      </header>
      {problem !== null && (
        <Banner tone="danger" role="alert">
          {problem} What is shown is what was known last.
        </Banner>
      )}
      {status === null && problem === null && <Loading />}
      {status !== null && <Problems problems={status.problems} />}
      {status !== null && <Nodes status={status} />}
      {status !== null && <Partitions status={status} />}
    </main>
  )
}

function useClusterStatus(): { status: ClusterStatus | null; problem: string | null } {
  const { api } = useServices()
  const [status, setStatus] = useState<ClusterStatus | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async (): Promise<void> => {
      try {
        // A window in the background asks nothing.
        if (!document.hidden) {
          const found = await api.cluster()
          if (isOver) return
          setStatus({ ...found, nodes: found.nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1)) })
          setProblem(null)
        }
      } catch (error) {
        if (!isOver) setProblem(error instanceof Error ? error.message : 'Something went wrong.')
      }
      if (!isOver) timer = setTimeout(() => void ask(), askMs)
    }
    void ask()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [api])
  return { status, problem }
}

function summaryOf({ isCluster, factor, nodes, partitions, unserved, degraded }: ClusterStatus): string {
  if (!isCluster) return 'This node runs alone: it serves everything, in one copy.'
  const served = partitions.length - unserved
  const full = partitions.length - degraded
  return `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}. ${served} of ${partitions.length} partitions are served, ${full} have all ${factor} copies.`
}

function Problems({ problems }: { problems: readonly string[] }) {
  if (problems.length === 0) return null
  return (
    <Banner tone="warning" role="status">
      <ul className="grid gap-1">
        {problems.map(problem => (
          <li key={problem}>{problem}</li>
        ))}
      </ul>
    </Banner>
  )
}

const columns = ['Serves', 'Copies', 'Lag', 'Hosts', 'Browsers', 'Version']

function Nodes({ status }: { status: ClusterStatus }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on narrow screens, so the keyboard must reach it
    <section aria-label="Nodes" tabIndex={0} className="card overflow-x-auto">
      <table className="w-full text-left">
        <thead className="border-b border-line text-sm text-muted">
          <tr>
            <th className="px-4 py-2 font-medium">Node</th>
            <th className="px-4 py-2 font-medium">State</th>
            {columns.map(name => (
              <th key={name} className="px-4 py-2 text-right font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {status.nodes.map((node, index) => (
            <tr key={node.id}>
              <td className="px-4 py-2.5 whitespace-nowrap">
                <span className="flex items-center gap-2.5">
                  {status.isCluster && <Swatch index={index} />}
                  <span>
                    <code className="font-mono" title={node.id}>
                      {shortId(node.id)}
                    </code>
                    <span className="block text-sm text-muted">{node.address ?? ''}</span>
                  </span>
                </span>
              </td>
              <td className={`px-4 py-2.5 ${isWell(node) ? '' : 'font-medium text-danger'}`}>
                {stateOf(node)}
              </td>
              {cellsOf(node).map((text, at) => (
                <td key={columns[at]} className="px-4 py-2.5 text-right tabular-nums">
                  {text}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function cellsOf({ serves, copies, lag, report }: NodeStatus): string[] {
  const told = report === null ? ['?', '?', '?'] : [report.hosts, report.clients, report.version]
  return [serves, copies, lag, ...told].map(String)
}

function isWell({ report }: NodeStatus): boolean {
  return report !== null && report.notReady.length === 0
}

function stateOf({ report, condition, isMember }: NodeStatus): string {
  if (report === null) {
    if (condition === 'refused') return 'Gone'
    return condition === 'silent' ? 'Silent' : 'No answer'
  }
  if (report.notReady.length > 0) return report.notReady.join(', ')
  return isMember ? 'Ready' : 'Joining'
}

/** Every partition as a square in the colour of the node that serves it. */
function Partitions({ status }: { status: ClusterStatus }) {
  if (!status.isCluster) return null
  const indexes = new Map(status.nodes.map((node, index) => [node.id, index]))
  return (
    <section aria-label="Partitions" className="grid gap-3">
      <h3 className="font-medium">Partitions</h3>
      <div aria-hidden="true" className="flex flex-wrap gap-1">
        {status.partitions.map(place => (
          <span
            key={place.partition}
            title={titleOf(place)}
            className={`size-3.5 rounded-[3px] ${place.replicas.length < status.factor - 1 ? 'opacity-40' : ''} ${place.servedBy === null ? 'border border-danger' : ''}`}
            style={place.servedBy === null ? {} : { background: colourOf(indexes.get(place.servedBy) ?? 0) }}
          />
        ))}
      </div>
      <p className="text-sm text-muted">
        The colour is the node that serves it. Pale: a copy is missing. Only a border: nobody serves it.
      </p>
    </section>
  )
}

function titleOf({ partition, epoch, servedBy, replicas }: PartitionPlace): string {
  const copies = replicas.filter(id => id !== null).map(shortId)
  return `${partition}: ${servedBy === null ? 'nobody' : shortId(servedBy)}, epoch ${epoch}, copied to ${copies.join(', ') || 'nobody'}`
}

function Swatch({ index }: { index: number }) {
  return (
    <span
      aria-hidden="true"
      className="size-3 flex-none rounded-[3px]"
      style={{ background: colourOf(index) }}
    />
  )
}

/** Far apart for neighbours: steps of the golden angle around the circle. */
function colourOf(index: number): string {
  return `hsl(${Math.round(215 + index * 137.5) % 360} 60% 52%)`
}
