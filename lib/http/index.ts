/** The public face of the HTTP server. */
export type * from './cluster-status.js'
export { type Context, checked, type Handler, hostOf } from './context.js'
export { ok, type Reply } from './reply.js'
export type { HealthOptions } from './routes-health.js'
export type { HttpHostHooks } from './routes-http-hosts.js'
export type { QueueHooks } from './routes-queue.js'
export type { RecordedNotification, SdkHooks } from './routes-sdk.js'
export type { SignOnHooks } from './routes-sso.js'
export type { UploadHooks } from './routes-uploads.js'
export {
  createHttpServer,
  type HttpMethod,
  type HttpServer,
  type HttpServerOptions,
  type RouteOptions,
} from './server.js'
