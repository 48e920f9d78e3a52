/** `ring`: the cluster as the nodes see it, asked through the node that runs on this machine's data directory. */
import { adminSocketPathFor, didYouMean, lockHolderOf, systemProcesses } from '../config/index.js'
import { AppError } from '../errors.js'
import type { ClusterStatus, NodeStatus, PartitionPlace } from '../http/index.js'
import { askAdmin, isNobodyThere } from '../node/admin-socket.js'
import { shortId } from '../node/ring-problems.js'
import type { Adoption } from '../partitions/index.js'
import { type Command, type CommandContext, jsonFlag, UsageError } from './command.js'
import { textTable } from './help.js'

const actions: Readonly<Record<string, (context: CommandContext) => Promise<number>>> = { status, adopt }

export const ringCommand: Command = {
  name: 'ring',
  usage: Object.keys(actions).join('|'),
  summary: 'shows the nodes of the cluster, who serves what, and what is missing',
  details: [
    'status          members, partitions, copies, lag, and what is not as it should be',
    'adopt           says which partitions nobody can lead: all who had them are gone, or the database was set',
    '                back; with --accept-loss they go on with the highest copies that can be reached, if only',
    '                empty ones',
    'Asks the running node of the same storage:path, which asks the others.',
  ],
  flags: [
    jsonFlag,
    { name: 'accept-loss', takesValue: false, description: 'adopt: do it; what nobody has is lost' },
    { name: 'partitions', takesValue: false, description: 'status: also one line for each partition' },
  ],
  async run(context) {
    const [name, ...others] = context.words
    const names = Object.keys(actions)
    if (name === undefined) throw new UsageError(`Say what to do: ring ${names.join('|')}.`)
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (action === undefined) throw new UsageError(`Unknown: ring ${name}.${didYouMean(name, names)}`)
    if (others.length > 0) throw new UsageError(`Unexpected ${JSON.stringify(others[0])}.`)
    return await action(context)
  },
}

async function status({ flags, io, configuration }: CommandContext): Promise<number> {
  const { config } = configuration()
  const path = config.storage.path
  const found = await askNode(path, 'clusterStatus')
  if (flags.has('json')) {
    io.print(JSON.stringify(found, null, 2))
    return 0
  }
  for (const line of statusLines(found as ClusterStatus, flags.has('partitions'))) io.print(line)
  return 0
}

async function adopt({ flags, io, configuration }: CommandContext): Promise<number> {
  const { config } = configuration()
  const acceptLoss = flags.has('accept-loss')
  const found = (await askNode(config.storage.path, 'ringAdopt', { acceptLoss })) as readonly Adoption[]
  if (flags.has('json')) io.print(JSON.stringify(found, null, 2))
  else for (const line of adoptLines(found, acceptLoss)) io.print(line)
  return acceptLoss || found.length === 0 ? 0 : 1
}

/** What is, or would be, adopted, for people. */
export function adoptLines(adoptions: readonly Adoption[], isDone: boolean): string[] {
  if (adoptions.length === 0) return ['Every partition has a member that answers. There is nothing to adopt.']
  const lost = adoptions.filter(adoption => adoption.mayLose)
  const empty = lost.filter(adoption => adoption.seq === 0)
  const whole = adoptions.length - lost.length
  const lines = [
    isDone
      ? `Adopted ${adoptions.length} partitions: ${adoptions.map(({ partition }) => partition).join(', ')}.`
      : `${adoptions.length} partitions wait: ${adoptions.map(({ partition }) => partition).join(', ')}.`,
  ]
  if (whole > 0) lines.push(`${whole} as they are: their owners answer, only the database was set back.`)
  if (lost.length > 0) {
    lines.push(
      `${lost.length} from older copies, ${empty.length} of them empty: what their members had beyond is lost.`,
    )
  }
  if (!isDone)
    lines.push('Start the nodes that have them, or do it with --accept-loss. It is written to the audit log.')
  return lines
}

/** Asks the node whose data lies in `path`; without one, the error says what to do. */
async function askNode(path: string, operation: string, argument: unknown = {}): Promise<unknown> {
  const holder = lockHolderOf(path, systemProcesses())
  try {
    return await askAdmin(holder?.adminSocket ?? adminSocketPathFor(path), operation, argument)
  } catch (error) {
    if (!isNobodyThere(error)) throw error
    const message =
      holder === null
        ? `No node runs on ${path}. Start one with \`interval-server run\`, or name the data directory of one that runs with --storage:path.`
        : `The node on ${path} is starting or stopping. Ask again in a moment.`
    throw new AppError('unavailable', message)
  }
}

/** The status for people. */
export function statusLines(status: ClusterStatus, withPartitions: boolean): string[] {
  const { nodes, isCluster, factor, partitions, unserved, degraded, problems } = status
  const title = isCluster
    ? `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}, ${factor} copies of each partition wanted`
    : 'A node alone: one copy of everything, no ring. Give it --seeds and --database:url to let others join.'
  const served = partitions.length - unserved
  const summary = `${served} of ${partitions.length} partitions served${isCluster ? `, ${partitions.length - degraded} with all copies` : ''}`
  return [
    title,
    '',
    ...textTable(
      ['node', 'address', 'state', 'serves', 'copies', 'lag', 'epochs', 'hosts', 'browsers', 'version'],
      nodes.map(node => nodeRow(node, status)),
    ),
    '',
    summary,
    ...problems.map(problem => `! ${problem}`),
    ...(withPartitions ? ['', ...partitionTable(partitions)] : []),
  ]
}

function nodeRow(node: NodeStatus, status: ClusterStatus): string[] {
  const { report } = node
  const epochs = status.partitions.filter(place => place.servedBy === node.id).map(place => place.epoch)
  return [
    shortId(node.id) + (node.id === status.node ? ' *' : ''),
    node.address ?? '-',
    stateOf(node),
    String(node.serves),
    String(node.copies),
    String(node.lag),
    epochs.length === 0 ? '-' : rangeOf(epochs),
    report === null ? '?' : String(report.hosts),
    report === null ? '?' : String(report.clients),
    report?.version ?? '?',
  ]
}

function stateOf({ report, condition, isMember }: NodeStatus): string {
  if (report === null) {
    if (condition === 'refused') return 'gone'
    return condition === 'silent' ? 'silent' : 'no answer'
  }
  if (report.notReady.length > 0) return report.notReady.join(', ')
  return isMember ? 'ready' : 'joining'
}

function rangeOf(numbers: readonly number[]): string {
  const [lowest, highest] = [Math.min(...numbers), Math.max(...numbers)]
  return lowest === highest ? String(lowest) : `${lowest}-${highest}`
}

function partitionTable(partitions: readonly PartitionPlace[]): string[] {
  const name = (id: string | null): string => (id === null ? '?' : shortId(id))
  return textTable(
    ['partition', 'epoch', 'owner', 'replicas', 'served by', 'commits', 'lag'],
    partitions.map(({ partition, epoch, owner, replicas, servedBy, seq, lag }) => [
      String(partition),
      String(epoch),
      name(owner),
      replicas.map(name).join(' ') || '-',
      servedBy === null ? 'nobody' : name(servedBy),
      String(seq ?? '-'),
      String(lag ?? '-'),
    ]),
  )
}
