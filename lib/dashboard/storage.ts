/**
 * What one browser window remembers over a reload: its client id, which transactions it runs, what was typed but not
 * sent, and how high the panel of a run is. It lives in sessionStorage, which may be full, forbidden or hold anything, so that every read is checked,
 * every write may fail in silence, and both lists are bounded: the oldest leave first.
 */
import { isRecord } from './props.js'

export interface WindowStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

const transactionsMax = 20
const draftsMax = 40
const draftCharactersMax = 262_144

export class WindowMemory {
  readonly #storage: WindowStorage
  readonly #newId: () => string

  constructor(storage: WindowStorage, newId: () => string) {
    this.#storage = storage
    this.#newId = newId
  }

  /** The id of this window, made on first use. */
  clientId(): string {
    const known = this.#read('client')
    if (typeof known === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(known)) return known
    const made = this.#newId()
    this.#write('client', made)
    return made
  }

  /** True while the transaction runs as far as this window knows: a reload goes on with it. */
  isRunning(transactionId: string): boolean {
    return this.#list('running').includes(transactionId)
  }

  markRunning(transactionId: string): void {
    const others = this.#list('running').filter(id => id !== transactionId)
    this.#write('running', [...others, transactionId].slice(-transactionsMax))
  }

  markEnded(transactionId: string): void {
    this.#write(
      'running',
      this.#list('running').filter(id => id !== transactionId),
    )
  }

  /** What was typed into a step, one entry per component; null when nothing is kept. */
  draft(key: string): unknown[] | null {
    const drafts = this.#read('drafts')
    const draft = isRecord(drafts) ? drafts[key] : undefined
    return Array.isArray(draft) ? draft : null
  }

  saveDraft(key: string, values: readonly unknown[]): void {
    const drafts = this.#read('drafts')
    const entries = Object.entries(isRecord(drafts) ? drafts : {}).filter(([other]) => other !== key)
    let kept = [...entries, [key, values] as const].slice(-draftsMax)
    while (kept.length > 0 && JSON.stringify(kept).length > draftCharactersMax) kept = kept.slice(1)
    this.#write('drafts', Object.fromEntries(kept))
  }

  deleteDraft(key: string): void {
    const drafts = this.#read('drafts')
    if (!isRecord(drafts) || !(key in drafts)) return
    this.#write('drafts', Object.fromEntries(Object.entries(drafts).filter(([other]) => other !== key)))
  }

  /** How high the panel at the foot of a run is wanted, in px; null when nobody said. */
  panelHeight(): number | null {
    const px = this.#read('panel-height')
    return typeof px === 'number' && Number.isFinite(px) ? px : null
  }

  savePanelHeight(px: number): void {
    this.#write('panel-height', px)
  }

  #list(key: string): string[] {
    const value = this.#read(key)
    return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
  }

  #read(key: string): unknown {
    try {
      return JSON.parse(this.#storage.getItem(`interval.${key}`) ?? 'null')
    } catch {
      return null
    }
  }

  #write(key: string, value: unknown): void {
    try {
      this.#storage.setItem(`interval.${key}`, JSON.stringify(value))
    } catch {
      // Full or forbidden: the app works without it, only a reload forgets.
    }
  }
}
