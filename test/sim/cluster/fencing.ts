/**
 * I4: what a leader sends takes no effect at a node that has seen a later leader.
 *
 * Looks at the messages themselves, beside the code that decides about them: which rows a process was told or has read,
 * whose leadership it has believed, and what it did with each message that names an epoch.
 */

import type { EntityKey } from '../../../lib/ids.js'
import { decodeCommits } from '../../../lib/partitions/commit-codec.js'
import type { Configuration } from '../../../lib/partitions/configuration.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import type { Member, PartitionId } from '../../../lib/ring/index.js'
import type { Life, World } from './world.js'

interface Claim {
  readonly partition: PartitionId
  readonly epoch: number
}

/** By partition and store: the highest epoch at which it is known to have led. */
type Seen = Map<PartitionId, Map<string, number>>

export class Fencing {
  readonly #world: World
  readonly #seen = new WeakMap<Life, Seen>()

  constructor(world: World) {
    this.#world = world
  }

  /** A process has been told, or has read, who leads. */
  learned(life: Life, rows: readonly Pick<Configuration, 'partition' | 'epoch' | 'owner'>[]): void {
    let seen = this.#seen.get(life)
    if (!seen) {
      seen = new Map()
      this.#seen.set(life, seen)
    }
    for (const { epoch, owner, partition } of rows) {
      let leaders = seen.get(partition)
      if (!leaders) {
        leaders = new Map()
        seen.set(partition, leaders)
      }
      if (epoch > (leaders.get(owner) ?? 0)) leaders.set(owner, epoch)
    }
  }

  /** A message has come; what is returned hears the answer, and undefined when it was refused. */
  arrived(to: Life, from: Member, kind: string, body: Buffer): (answer: Buffer | undefined) => void {
    if (kind === 'rows') this.learned(to, rowsOf(body))
    const claims = claimsOf(kind, body)
    const late = claims.filter(claim => this.#isLate(to, from, claim))
    return answer => {
      if (!answer || claims.length === 0) return
      const taken = takenOf(kind, claims, answer)
      const store = from.storeId as Configuration['owner']
      this.learned(
        to,
        taken.map(claim => ({ ...claim, owner: store })),
      )
      for (const { epoch, partition } of late) {
        if (!taken.some(claim => claim.partition === partition && claim.epoch === epoch)) continue
        this.#world.problem(
          `I4: ${to.name} took a ${kind} of partition ${partition} from ${from.nodeId} under epoch ${epoch}, having seen a later leader`,
        )
      }
    }
  }

  /** Rows that came as an answer. */
  answered(to: Life, kind: string, answer: Buffer): void {
    if (kind === 'rows-wanted') this.learned(to, rowsOf(answer))
  }

  #isLate(to: Life, { storeId }: Member, { epoch, partition }: Claim): boolean {
    for (const [store, led] of this.#seen.get(to)?.get(partition) ?? []) {
      if (store !== storeId && led > epoch) return true
    }
    return false
  }
}

function rowsOf(body: Buffer): readonly Configuration[] {
  return (JSON.parse(body.toString()) as { rows: readonly Configuration[] }).rows
}

/** For whom it is stands before it. */
function toStore(body: Buffer): Buffer {
  return body.subarray(1 + body.readUInt8(0))
}

function claimsOf(kind: string, body: Buffer): Claim[] {
  switch (kind) {
    case 'signal':
    case 'effect': {
      const { epoch, key } = JSON.parse(body.toString()) as { epoch: number; key: EntityKey }
      return [{ partition: partitionOf(key), epoch }]
    }
    case 'append': {
      const claims = new Map<string, Claim>()
      for (const { partition, position } of decodeCommits(toStore(body)))
        claims.set(`${partition} ${position.epoch}`, { partition, epoch: position.epoch })
      return [...claims.values()]
    }
    case 'confirm': {
      const questions = JSON.parse(toStore(body).toString()) as [PartitionId, number][]
      return questions.map(([partition, epoch]) => ({ partition, epoch }))
    }
    case 'snapshot-begin':
      return [JSON.parse(toStore(body).toString()) as Claim]
    default:
      return []
  }
}

/** What of it took effect. */
function takenOf(kind: string, claims: readonly Claim[], answer: Buffer): readonly Claim[] {
  if (kind === 'signal') return answer.toString() === 'unheard' ? [] : claims
  if (kind !== 'append' && kind !== 'confirm') return claims
  const answers = JSON.parse(answer.toString()) as {
    partition: PartitionId
    newer?: true
    newerEpoch?: number
  }[]
  const refused = new Set(
    answers.flatMap(({ newer, newerEpoch, partition }) =>
      newer || newerEpoch !== undefined ? [partition] : [],
    ),
  )
  return claims.filter(({ partition }) => !refused.has(partition))
}
