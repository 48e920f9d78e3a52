/**
 * Directory sync of WorkOS: the events it sends. Not signed by it, signed long ago, or not set up here: nothing happens,
 * and the answer says which.
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type { Secret } from '../log.js'
import { verifiedEvent } from '../sign-on/index.js'
import { readText } from './body.js'
import type { Handler } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

/** `secret`: of the webhook; null where the operator has set up none. */
export function addWorkOsRoutes(http: HttpServer, { secret }: { readonly secret: Secret | null }): void {
  const take: Handler = async context => {
    if (secret === null) {
      throw new AppError('not-found', 'Directory sync is not set up here: WORKOS_WEBHOOK_SECRET is not set.')
    }
    const header = context.request.headers['workos-signature']
    const text = await readText(context.request, limits.requestBodyBytesMax)
    const nowMs = context.accounts.clock.nowMs()
    const event = verifiedEvent(typeof header === 'string' ? header : undefined, text, secret.reveal(), nowMs)
    if (event === null) {
      context.accounts.audit({
        name: 'access.denied',
        address: context.origin.address,
        details: { what: 'webhook signature' },
      })
      throw new AppError('forbidden', 'The signature is missing, wrong, or too old.')
    }
    return ok({ status: await context.accounts.takeWorkOsEvent(event) })
  }
  // Whatever was entered at WorkOS for the original.
  for (const path of ['/api/webhooks/workos', '/api/webhooks/workos/*']) {
    http.route('POST', path, { caller: 'open', isCounted: true }, take)
  }
}
