/**
 * Who may use a connection now, and who waits: a lane per receiver, so that a slow receiver keeps only its own waiting.
 *
 * Invariant: at most `perLaneMax` are inside of one lane, `insideMax` of all, and `waitingMax` wait. Whoever waits is let
 * in in order within a lane, and the lanes take turns.
 */

/** One that is inside, waits, or has left. */
export interface Ticket {
  /** Leaves, or stops waiting. Once is enough; more does nothing. */
  leave(): void
}

interface Lane {
  inside: number
  readonly waiting: Set<() => void>
}

export interface LaneLimits {
  readonly perLaneMax: number
  readonly insideMax: number
  readonly waitingMax: number
}

export class Lanes {
  readonly #limits: LaneLimits
  readonly #lanes = new Map<string, Lane>()
  /** Names of the lanes in which somebody waits, the next in turn first. */
  readonly #turns = new Set<string>()
  #inside = 0
  #waiting = 0

  constructor(limits: LaneLimits) {
    this.#limits = limits
  }

  /** Calls `enter` when there is room, now or later; undefined when too many wait already. */
  take(name: string, enter: () => void): Ticket | undefined {
    const lane = this.#lanes.get(name) ?? { inside: 0, waiting: new Set() }
    if (this.#hasRoom(lane)) {
      this.#lanes.set(name, lane)
      this.#letIn(lane)
      enter()
    } else if (this.#waiting < this.#limits.waitingMax) {
      this.#lanes.set(name, lane)
      lane.waiting.add(enter)
      this.#waiting += 1
      this.#turns.add(name)
    } else return undefined
    let hasLeft = false
    return {
      leave: () => {
        if (hasLeft) return
        hasLeft = true
        if (lane.waiting.delete(enter)) this.#waiting -= 1
        else {
          lane.inside -= 1
          this.#inside -= 1
        }
        this.#forget(name, lane)
        this.#next()
      },
    }
  }

  #hasRoom(lane: Lane): boolean {
    return this.#inside < this.#limits.insideMax && lane.inside < this.#limits.perLaneMax
  }

  #letIn(lane: Lane): void {
    lane.inside += 1
    this.#inside += 1
  }

  #forget(name: string, lane: Lane): void {
    if (lane.waiting.size === 0) this.#turns.delete(name)
    if (lane.waiting.size === 0 && lane.inside === 0) this.#lanes.delete(name)
  }

  /** Lets in as many as there is room for. */
  #next(): void {
    for (const name of this.#turns) {
      const lane = this.#lanes.get(name)
      const [enter] = lane?.waiting ?? []
      if (!lane || !enter) continue
      if (!this.#hasRoom(lane)) continue
      lane.waiting.delete(enter)
      this.#waiting -= 1
      // To the end of the line: the walk comes by here again after the others.
      this.#turns.delete(name)
      if (lane.waiting.size > 0) this.#turns.add(name)
      this.#letIn(lane)
      enter()
    }
  }
}
