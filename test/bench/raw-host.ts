/** A host without an SDK: just the frames, so that a benchmark measures the server and not four layers of client. */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'

export interface RawHostEvents {
  started(host: RawHost, transactionId: string): void
  /** An IO_RESPONSE with its text. */
  answered(host: RawHost, transactionId: string, value: string): void
}

export class RawHost {
  readonly #socket: WebSocket
  readonly #events: RawHostEvents
  #rpcId = 0
  readonly #replies = new Map<string, (data: unknown) => void>()

  private constructor(socket: WebSocket, events: RawHostEvents) {
    this.#socket = socket
    this.#events = events
    socket.on('message', data => this.#received(String(data)))
  }

  /** Connects and declares its actions. */
  static async connect(
    endpoint: string,
    key: string,
    actions: readonly string[],
    events: RawHostEvents,
  ): Promise<RawHost> {
    const socket = new WebSocket(endpoint, {
      headers: { 'x-api-key': key, 'x-instance-id': randomUUID() },
      perMessageDeflate: false,
    })
    const host = new RawHost(socket, events)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('close', (code, reason) => reject(new Error(`closed ${code} ${String(reason)}`)))
      socket.once('message', () => resolve())
    })
    await host.call('INITIALIZE_HOST', {
      sdkName: '@interval/sdk',
      sdkVersion: '2.0.0',
      timestamp: Date.now(),
      actions: actions.map(slug => ({ slug, backgroundable: true })),
      groups: [],
    })
    return host
  }

  call(methodName: string, data: unknown): Promise<unknown> {
    this.#rpcId += 1
    const id = String(this.#rpcId)
    const reply = new Promise<unknown>(resolve => this.#replies.set(id, resolve))
    this.#send(JSON.stringify({ id, kind: 'CALL', methodName, data }))
    return reply
  }

  /** Asks for a text, as `io.input.text` does. */
  ask(transactionId: string, label: string): Promise<unknown> {
    const component = {
      methodName: 'INPUT_TEXT',
      label,
      props: {
        helpText: 'A sentence that helps, of the usual length of such sentences.',
        placeholder: 'Type here',
      },
      isStateful: false,
      isOptional: false,
      isMultiple: false,
    }
    const ioCall = JSON.stringify({
      id: randomUUID(),
      inputGroupKey: randomUUID(),
      kind: 'RENDER',
      toRender: [component],
      choiceButtons: [{ label: 'Continue', value: 'continue', theme: 'primary' }],
    })
    return this.call('SEND_IO_CALL', { transactionId, ioCall })
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.terminate()
  }

  #send(data: string): void {
    this.#socket.send(JSON.stringify({ id: randomUUID(), data, type: 'MESSAGE' }))
  }

  #received(text: string): void {
    const frame = JSON.parse(text) as { type: string; id: string; data: string }
    if (frame.type !== 'MESSAGE') return
    this.#socket.send(JSON.stringify({ type: 'ACK', id: frame.id }))
    if (frame.data === 'authenticated') return
    const message = JSON.parse(frame.data) as { id: string; kind: string; methodName: string; data: never }
    if (message.kind === 'RESPONSE') {
      this.#replies.get(message.id)?.(message.data)
      this.#replies.delete(message.id)
      return
    }
    this.#send(JSON.stringify({ id: message.id, kind: 'RESPONSE', methodName: message.methodName }))
    const { transactionId, value } = message.data as { transactionId: string; value: string }
    if (message.methodName === 'START_TRANSACTION') this.#events.started(this, transactionId)
    else if (message.methodName === 'IO_RESPONSE') this.#events.answered(this, transactionId, value)
  }
}
