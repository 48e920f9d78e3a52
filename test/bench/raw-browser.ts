/** A browser window without a browser: sends requests, hears events. */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'

interface Frame {
  readonly id?: number
  readonly event?: string
  readonly data?: unknown
  readonly result?: { readonly newId?: string }
  readonly error?: { readonly code: string; readonly message: string }
}

export class RawBrowser {
  readonly #socket: WebSocket
  #next = 1
  readonly #replies = new Map<number, (frame: Frame) => void>()
  onEvent: (event: string, data: unknown) => void = () => undefined
  /** For the next transaction. */
  newId = ''

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', data => {
      const frame = JSON.parse(String(data)) as Frame
      if (frame.id === undefined) {
        this.onEvent(frame.event ?? '', frame.data)
        return
      }
      if (frame.result?.newId) this.newId = frame.result.newId
      this.#replies.get(frame.id)?.(frame)
      this.#replies.delete(frame.id)
    })
  }

  static async connect(address: string, cookie: string): Promise<RawBrowser> {
    const socket = new WebSocket(`${address.replace('http', 'ws')}/websocket`, {
      headers: { cookie, origin: address },
      perMessageDeflate: false,
    })
    const browser = new RawBrowser(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    await browser.ask('hello', { client: randomUUID(), protocol: 1 })
    return browser
  }

  async ask(method: string, data: unknown): Promise<unknown> {
    const id = this.#next++
    const reply = new Promise<Frame>(resolve => this.#replies.set(id, resolve))
    this.#socket.send(JSON.stringify({ id, method, data }))
    const frame = await reply
    if (frame.error) throw new Error(`${method}: ${frame.error.code}: ${frame.error.message}`)
    return frame
  }

  close(): void {
    this.#socket.terminate()
  }
}
