/**
 * Remembers answers of the database for a short time, so that what runs all the time does not ask all the time, and
 * goes on while the database is away.
 *
 * Invariant: an answer is `fresh` for so long, and after that used only when the database cannot be asked, up to
 * `stale`. What is dropped while it is being loaded is not kept, so that a revocation is never overtaken by an older
 * answer.
 */
import { AppError } from '../errors.js'
import type { Clock } from './clock.js'

export interface CacheOptions {
  readonly clock: Clock
  readonly freshMs: number
  readonly staleMs: number
  readonly entriesMax: number
}

export class Cache<Value> {
  readonly #options: CacheOptions
  readonly #entries = new Map<string, { value: Value; atMs: number }>()
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
    const generation = this.#generation
    let loading = this.#loading.get(key)
    if (!loading) {
      loading = load().finally(() => {
        if (this.#loading.get(key) === loading) this.#loading.delete(key)
      })
      this.#loading.set(key, loading)
    }
    try {
      const value = await loading
      if (generation === this.#generation) {
        this.#entries.delete(key)
        if (keep(value)) this.#entries.set(key, { value, atMs: this.#options.clock.nowMs() })
        this.#trim()
      }
      return value
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

  #trim(): void {
    while (this.#entries.size > this.#options.entriesMax) {
      const oldest = this.#entries.keys().next()
      if (oldest.done) return
      this.#entries.delete(oldest.value)
    }
  }
}
