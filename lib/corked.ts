/**
 * Frames written to one socket in the same turn of the event loop leave in one system call: a commit that releases
 * several answers for one peer costs one write.
 */
import type { Duplex } from 'node:stream'

export class Corked {
  readonly #stream: Duplex
  #isCorked = false

  constructor(stream: Duplex) {
    this.#stream = stream
  }

  /** Call before each write. */
  cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#stream.cork()
    setImmediate(() => {
      this.#isCorked = false
      this.#stream.uncork()
    })
  }
}
