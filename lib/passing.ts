/**
 * A Map and a Set for what comes and goes: thousands of entries a second, few at a time.
 *
 * V8 keeps either in a table, and makes another when that is full of entries and of the gaps they left; the old table
 * points to the new one, for iterators that are under way. Once one of these tables has lived long enough to be
 * promoted to the old generation, it keeps the next one alive when it is itself garbage, that the next, and all of them
 * whatever they hold: everything that passes through the Map is copied twice and promoted, until the next full
 * collection, which promotes the table of that moment. So before the gaps are many, the entries move to a Map of their
 * own, which no table points to.
 *
 * Iterating is as with a Map, except that a loop in which something is added may not meet it, and may still meet what is
 * removed after that.
 */

/** Below it a Map is hardly smaller. */
const gapsMin = 32

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

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.#map.entries()
  }
}

export class PassingSet<Value> {
  #set = new Set<Value>()
  #gaps = 0

  get size(): number {
    return this.#set.size
  }

  has(value: Value): boolean {
    return this.#set.has(value)
  }

  add(value: Value): this {
    if (this.#gaps >= gapsMin && this.#gaps >= this.#set.size) {
      this.#set = new Set(this.#set)
      this.#gaps = 0
    }
    this.#set.add(value)
    return this
  }

  delete(value: Value): boolean {
    const was = this.#set.delete(value)
    if (was) this.#gaps += 1
    return was
  }

  [Symbol.iterator](): SetIterator<Value> {
    return this.#set.values()
  }
}
