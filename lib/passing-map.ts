/**
 * A Map for what comes and goes: thousands of entries a second, few at a time.
 *
 * V8 keeps a Map in a table, and makes another when that is full of entries and of the gaps they left; the old table
 * points to the new one, for iterators that are under way. Once one of these tables has lived long enough to be promoted
 * to the old generation, it keeps the next one alive when it is itself garbage, that the next, and all of them whatever
 * they hold: everything that passes through the Map is copied twice and promoted, until the next full collection, which
 * promotes the table of that moment. So before the gaps are many, the entries move to a Map of their own, which no table
 * points to.
 *
 * Iterating is as with a Map, except that what is removed after a `set` of the same loop may still be met.
 */
export class PassingMap<Key, Value> {
  #map = new Map<Key, Value>()
  #gaps = 0

  get size(): number {
    return this.#map.size
  }

  get(key: Key): Value | undefined {
    return this.#map.get(key)
  }

  has(key: Key): boolean {
    return this.#map.has(key)
  }

  set(key: Key, value: Value): this {
    if (this.#gaps >= gapsMin && this.#gaps >= this.#map.size) {
      this.#map = new Map(this.#map)
      this.#gaps = 0
    }
    this.#map.set(key, value)
    return this
  }

  delete(key: Key): boolean {
    const was = this.#map.delete(key)
    if (was) this.#gaps += 1
    return was
  }

  clear(): void {
    this.#map = new Map()
    this.#gaps = 0
  }

  keys(): MapIterator<Key> {
    return this.#map.keys()
  }

  values(): MapIterator<Value> {
    return this.#map.values()
  }

  entries(): MapIterator<[Key, Value]> {
    return this.#map.entries()
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.#map.entries()
  }
}

/** Below it a Map is hardly smaller. */
const gapsMin = 32
