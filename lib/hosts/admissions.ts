/**
 * Hosts that wait to be let in: one socket of an instance at a time, anywhere.
 *
 * SDKs open a second socket when the first has not let them in after their retry interval, and take every socket that
 * lets them in for their own, the last one for the one they speak on. What they think of the others' ends differs from
 * version to version, and one that is told too much at once never connects again. So while a socket waits, a newer one
 * takes its place; and while one has been let in and has not declared itself yet, the next one waits for that.
 *
 * Nothing here is durable, and nobody waits long for a node that does not answer: what goes wrong then is that two
 * sockets are let in at once, which `Hosts` sorts out as well as the SDK allows.
 */
import type { HostIdentity } from '../accounts/index.js'
import { AppError } from '../errors.js'
import type { EntityKey, InstanceId } from '../ids.js'
import type { EntityRuntime } from '../partitions/index.js'
import { directoryKey, hostKey } from './host.js'

export interface AdmissionsOptions {
  readonly runtime: EntityRuntime
  /** True when the instance is connected and introduced, on whichever node. */
  isConnected(instanceId: InstanceId): boolean
  /** Resolves when no socket of the instance on this node is let in and undeclared; not later than after some time. */
  declared(instanceId: InstanceId, place: EntityKey): Promise<void>
}

interface Waiting {
  readonly place: EntityKey
  giveUp(): void
}

/** How long a host that connects waits for what it needs, in ms: SDKs give up after 10 to 15 s. */
const prepareMsMax = 5_000
/** The same, once more, when it is connected elsewhere by then. */
const prepareAgainMsMax = 4_000
/** How long another node may take to say that it has let in nobody, in ms. */
const arrivesMsMax = 1_000

const kind = 'host-arrives'

export class Admissions {
  readonly #options: AdmissionsOptions
  readonly #waiting = new Map<InstanceId, Waiting>()

  constructor(options: AdmissionsOptions) {
    this.#options = options
    options.runtime.onAsk(kind, async (instanceId, place) => {
      await this.#arrives(instanceId as InstanceId, place as EntityKey)
      return null
    })
  }

  /**
   * Resolves when a host can be let in and registered: its entity and its directory have leaders that answer. An SDK
   * whose connection breaks between `authenticated` and the answer to its first declaration never connects again, so it
   * is not let in before that answer can be given at once. Rejects with `unavailable` when that takes too long, or when a
   * newer socket of the instance comes meanwhile, to whichever node.
   */
  async prepare(instanceId: InstanceId, identity: HostIdentity): Promise<void> {
    const { runtime } = this.#options
    const place = placeOf(identity)
    const attempt = (deadlineMs: number) =>
      Promise.all([
        runtime.send(hostKey(instanceId), { type: 'ask' }, { deadlineMs }),
        runtime.send(place, { type: 'ready' }, { deadlineMs }),
      ])
    const alone = Promise.all([
      this.#arrives(instanceId, place),
      runtime.askOthers(kind, instanceId, place, arrivesMsMax),
    ])
    // Connected elsewhere meanwhile, an SDK that sees this socket refused never reconnects again (2.0.0).
    const ready = attempt(prepareMsMax).catch(error => {
      if (this.#options.isConnected(instanceId)) return attempt(prepareAgainMsMax)
      throw error
    })
    let entry: Waiting | undefined
    const replaced = new Promise<never>((_, reject) => {
      const giveUp = () =>
        reject(new AppError('unavailable', 'A newer connection was established for this instance id.'))
      entry = { place, giveUp }
      this.#waiting.set(instanceId, entry)
    })
    try {
      await Promise.race([Promise.all([ready, alone]), replaced])
    } finally {
      if (this.#waiting.get(instanceId) === entry) this.#waiting.delete(instanceId)
    }
  }

  /** A newer socket has come, here or elsewhere. */
  #arrives(instanceId: InstanceId, place: EntityKey): Promise<void> {
    const waiting = this.#waiting.get(instanceId)
    if (waiting?.place === place) waiting.giveUp()
    return this.#options.declared(instanceId, place)
  }
}

/** The directory that lists an instance of this identity: whoever has another one is another host. */
export function placeOf({ environment, kind, user }: HostIdentity): EntityKey {
  return directoryKey(environment.id, kind === 'DEVELOPMENT' ? user.id : null)
}
