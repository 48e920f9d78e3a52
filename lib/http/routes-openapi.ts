/** The description of the API, for people's tools. It tells nothing of anybody, so anybody may read it. */
import { packageVersion } from '../root.js'
import { openApiDocument } from './openapi.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export function addOpenApiRoute(http: HttpServer): void {
  let document: unknown
  http.route('GET', '/api/v1/openapi.json', { caller: 'open' }, () => {
    // All routes are there by the first time it is asked for.
    document ??= openApiDocument(http.apiRoutes, packageVersion)
    return ok(document)
  })
}
