/** The part of restify that is used here: routing. Requests and responses are those of node:http. */
declare module 'restify' {
  import type { IncomingMessage, Server as NodeServer, ServerResponse } from 'node:http'

  interface Request extends IncomingMessage {
    readonly params: Readonly<Record<string, string>>
  }
  type Next = (stop?: false) => void
  type Handler = (request: Request, response: ServerResponse, next: Next) => void
  interface Logger {
    child(): Logger
    trace(): void
    debug(): void
    info(): void
    warn(): void
    error(): void
    fatal(): void
  }
  interface Server {
    readonly server: NodeServer
    first(handler: (request: IncomingMessage, response: ServerResponse) => boolean): Server
    get(path: string, handler: Handler): string
    head(path: string, handler: Handler): string
    post(path: string, handler: Handler): string
    put(path: string, handler: Handler): string
    patch(path: string, handler: Handler): string
    del(path: string, handler: Handler): string
    on(event: 'error', listener: (error: Error) => void): Server
    on(
      event: 'restifyError',
      listener: (request: IncomingMessage, response: ServerResponse, error: Error, done: () => void) => void,
    ): Server
  }
  export function createServer(options: {
    name: string
    log: Logger
    onceNext?: boolean
    noWriteContinue?: boolean
  }): Server
}
