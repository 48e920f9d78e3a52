import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AccountsService } from '../accounts/index.js'
import type { Config } from '../config/index.js'

export interface NodeHttp {
  readonly server: Server
  sessionToken(request: IncomingMessage): string | undefined
  addressOf(request: IncomingMessage): string
  close(): Promise<void>
}

export function createNodeHttp(_options: {
  config: Config
  accounts: AccountsService
  state: () => 'starting' | 'ready' | 'draining'
  isDatabaseHealthy: () => Promise<boolean>
  notify: (
    organizationId: string,
    transactionId: string | null | undefined,
    notification: {
      title: string | null
      message: string
      deliveries: readonly { to: string; method?: 'EMAIL' | 'SLACK' | undefined }[]
    },
  ) => Promise<void>
}): NodeHttp {
  const server = createServer((_request, response) => response.writeHead(404).end())
  return {
    server,
    sessionToken: request => /(?:^|; )interval_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1],
    addressOf: request => request.socket.remoteAddress ?? '',
    close: () => new Promise(resolve => server.close(() => resolve())),
  }
}
