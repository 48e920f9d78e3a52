/**
 * The lists of actions that are on screen. A node watches a place once per window, so that several readers of one
 * place share a watch here: the first begins it, the last ends it, each reconnect begins it anew.
 */
import type { Directory, Place } from '../clients/wire.js'
import type { Connection, RequestError } from './connection.js'

export interface WatchedDirectory {
  /** Null until the first answer. */
  directory: Directory | null
  failure: RequestError | null
}

interface Watch {
  place: Place
  listeners: Set<() => void>
  state: WatchedDirectory
}

const nothing: WatchedDirectory = { directory: null, failure: null }

export class Directories {
  readonly #connection: Connection
  readonly #watches = new Map<string, Watch>()

  constructor(connection: Connection) {
    this.#connection = connection
    connection.on('directory', ({ organization, environment, directory }) => {
      const watch = this.#watches.get(nameOf({ organization, environment }))
      if (watch) this.#set(watch, { directory, failure: null })
    })
    connection.onOpened(() => {
      for (const watch of this.#watches.values()) this.#ask(watch)
    })
  }

  state(place: Place): WatchedDirectory {
    return this.#watches.get(nameOf(place))?.state ?? nothing
  }

  /** Returns a function that ends this reader's part. */
  subscribe({ organization, environment }: Place, listener: () => void): () => void {
    const place = { organization, environment }
    const name = nameOf(place)
    let watch = this.#watches.get(name)
    if (!watch) {
      watch = { place, listeners: new Set(), state: nothing }
      this.#watches.set(name, watch)
      this.#ask(watch)
    }
    const joined = watch
    joined.listeners.add(listener)
    return () => {
      joined.listeners.delete(listener)
      // The readers of the next screen join right after those of the last one leave.
      queueMicrotask(() => {
        if (joined.listeners.size > 0 || this.#watches.get(name) !== joined) return
        this.#watches.delete(name)
        this.#connection.request('directory.unwatch', place).catch(() => undefined)
      })
    }
  }

  #ask(watch: Watch): void {
    this.#connection.request('directory.watch', watch.place).then(
      directory => this.#set(watch, { directory, failure: null }),
      (failure: RequestError) => this.#set(watch, { directory: watch.state.directory, failure }),
    )
  }

  #set(watch: Watch, state: WatchedDirectory): void {
    watch.state = state
    for (const listener of watch.listeners) listener()
  }
}

function nameOf(place: Place): string {
  return `${place.organization}+${place.environment}`
}
