/**
 * Remembers answers of the database for a short time, so that what runs all the time does not ask all the time, and
 * goes on while the database is away.
 *
 * Invariant: an answer is `fresh` for so long. After that it is used only when the database cannot be asked, up to
 * `stale`; or, where answers are refreshed in the background, until the newer one is there. An answer that was asked
 * for before a drop is neither kept nor given to anybody, so that a revocation is never overtaken by an older answer.
 */
import { AppError } from '../errors.js'
import type { Clock } from './clock.js'

export interface CacheOptions {
  readonly clock: Clock
  readonly freshMs: number
  readonly staleMs: number
  readonly entriesMax: number
  /**
   * `awaited` (the default): whoever asks after `freshMs` waits for the new answer. `background`: they get the old one
   * at once; only what was never known or was dropped is waited for. For what is dropped as soon as it changes.
   */
  readonly refresh?: 'awaited' | 'background'
}

interface Entry<Value> {
  readonly value: Value
  readonly atMs: number
}

/** Drops during one look-up before it gives up. */
const loadsMax = 5

export class Cache<Value> {
  readonly #options: CacheOptions
  readonly #entries = new Map<string, Entry<Value>>()
  readonly #loading = new Map<string, Promise<Value>>()
  #generation = 0

  constructor(options: CacheOptions) {
    this.#options = options
  }

  /** The value of `key`. `load` is asked at most once at a time per key; its rejections are not kept. */
  async get(
    key: string,
    load: () => Promise<Value>,
    keep: (value: Value) => boolean = () => true,
  ): Promise<Value> {
    const entry = this.#entries.get(key)
    const ageMs = entry ? this.#options.clock.nowMs() - entry.atMs : Number.POSITIVE_INFINITY
    if (entry && ageMs < this.#options.freshMs) return entry.value
    if (entry && ageMs < this.#options.staleMs && this.#options.refresh === 'background') {
      // When the database is away, the old answer stays.
      this.#load(key, load, keep).catch(() => undefined)
      return entry.value
    }
    const generation = this.#generation
    try {
      return await this.#load(key, load, keep)
    } catch (error) {
      const away = error instanceof AppError && error.code === 'unavailable'
      if (away && entry && generation === this.#generation && ageMs < this.#options.staleMs)
        return entry.value
      if (!away) this.#entries.delete(key)
      throw error
    }
  }

  /** Forgets what matches, and whatever is being loaded now. */
  drop(matches: (value: Value) => boolean = () => true): void {
    this.#generation += 1
    this.#loading.clear()
    for (const [key, entry] of this.#entries) if (matches(entry.value)) this.#entries.delete(key)
  }

  /** Loads until an answer was asked for after the last drop. */
  async #load(key: string, load: () => Promise<Value>, keep: (value: Value) => boolean): Promise<Value> {
    for (let loads = 0; loads < loadsMax; loads += 1) {
      const generation = this.#generation
      const value = await this.#loadOnce(key, load)
      if (generation !== this.#generation) continue
      this.#entries.delete(key)
      if (keep(value)) this.#entries.set(key, { value, atMs: this.#options.clock.nowMs() })
      this.#trim()
      return value
    }
    throw new AppError('unavailable')
  }

  #loadOnce(key: string, load: () => Promise<Value>): Promise<Value> {
    const running = this.#loading.get(key)
    if (running) return running
    const loading = load().finally(() => {
      if (this.#loading.get(key) === loading) this.#loading.delete(key)
    })
    this.#loading.set(key, loading)
    return loading
  }

  #trim(): void {
    while (this.#entries.size > this.#options.entriesMax) {
      const oldest = this.#entries.keys().next()
      if (oldest.done) return
      this.#entries.delete(oldest.value)
    }
  }
}
