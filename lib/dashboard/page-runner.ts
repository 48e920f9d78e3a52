/**
 * Keeps one page (layout) open in this window. Each `page.render` replaces the layout; after a reconnect the page is
 * opened again under the same key, which the node takes as the same page.
 */
import type { PageSnapshot, Params, Place, Redirect } from '../clients/wire.js'
import type { LoadingState, PageLayout } from '../sdk/io-call.js'
import type { Connection, RequestError } from './connection.js'
import type { Encoding } from './encoding.js'

export interface PageState {
  layout: PageLayout | null
  /** The host has rendered: a null layout then means that its handler shows nothing. */
  hasRendered: boolean
  loading: LoadingState | null
  hostConnected: boolean
  redirect: Redirect | null
  failure: RequestError | null
}

export interface PageRunnerOptions {
  connection: Connection
  encoding: Encoding
  newId: () => string
  place: Place
  slug: string
  params: Params
}

export class PageRunner {
  readonly pageKey: string
  readonly #options: PageRunnerOptions
  readonly #listeners = new Set<() => void>()
  readonly #ends: (() => void)[] = []
  #isDone = false
  #state: PageState = {
    layout: null,
    hasRendered: false,
    loading: null,
    hostConnected: true,
    redirect: null,
    failure: null,
  }

  constructor(options: PageRunnerOptions) {
    this.#options = options
    this.pageKey = options.newId()
  }

  getState = (): PageState => this.#state

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  run(): void {
    const { connection } = this.#options
    let isOpen = false
    const open = () => {
      const { place, slug, params } = this.#options
      connection.request('page.open', { ...place, pageKey: this.pageKey, slug, params }).then(
        snapshot => {
          isOpen = true
          this.#opened(snapshot)
        },
        (failure: RequestError) => this.#set({ failure }),
      )
    }
    this.#ends.push(
      connection.onOpened(() => {
        if (isOpen) open()
      }),
      connection.on('page.render', ({ pageKey, layout }) =>
        this.#for(pageKey, { layout, hasRendered: true }),
      ),
      connection.on('page.snapshot', snapshot => {
        if (snapshot.pageKey === this.pageKey) this.#opened(snapshot)
      }),
      connection.on('page.loading', ({ pageKey, loading }) => this.#for(pageKey, { loading })),
      connection.on('page.redirect', ({ pageKey, redirect }) => this.#for(pageKey, { redirect })),
      connection.on('page.host', ({ pageKey, hostConnected }) => this.#for(pageKey, { hostConnected })),
    )
    open()
  }

  setState(inputGroupKey: string, renderId: string, values: readonly unknown[]): void {
    this.#options.connection
      .request('page.setState', {
        pageKey: this.pageKey,
        requestId: this.#options.newId(),
        inputGroupKey,
        renderId,
        ...this.#options.encoding.encodeValues(values),
      })
      .catch(() => undefined)
  }

  leave(): void {
    if (this.#isDone) return
    this.#isDone = true
    for (const end of this.#ends) end()
    this.#options.connection.request('page.leave', { pageKey: this.pageKey }).catch(() => undefined)
  }

  #opened(snapshot: PageSnapshot): void {
    this.#set({
      failure: null,
      hostConnected: snapshot.hostConnected,
      loading: snapshot.loading,
      ...(snapshot.layout ? { layout: snapshot.layout, hasRendered: true } : {}),
    })
  }

  #for(pageKey: string, change: Partial<PageState>): void {
    if (pageKey === this.pageKey) this.#set(change)
  }

  #set(change: Partial<PageState>): void {
    if (this.#isDone) return
    this.#state = { ...this.#state, ...change }
    for (const listener of this.#listeners) listener()
  }
}
