/** Puts sign-on through providers together: which there are, and what may be asked. */
import { createSealing } from '../accounts/index.js'
import type { Config } from '../config/index.js'
import type { SignOnHooks } from '../http/index.js'
import { Outbound } from '../outbound/index.js'
import { OidcProviders, WorkOs } from '../sign-on/index.js'

/** Connections to all providers together: people sign in one at a time. */
const socketsMax = 64

export interface NodeSignOn {
  readonly hooks: SignOnHooks
  /** Ends requests under way. */
  stop(): void
}

export function openSignOn(options: {
  readonly config: Config
  readonly appUrl: string
  /** Secret of the installation. */
  readonly secret: string
}): NodeSignOn {
  const { sso, google, workos } = options.config
  const named = new Outbound({ allow: sso.allow, agentSocketsMax: socketsMax })
  // Addresses that the operator has written down are asked wherever they are.
  const ownAllow = [google.issuer, workos.url].map(url => new URL(url).hostname.replace(/^\[|\]$/g, ''))
  const own = new Outbound({ allow: ownAllow, agentSocketsMax: socketsMax })
  return {
    hooks: {
      oidc: new OidcProviders({ outbound: named, allow: sso.allow, nowMs: Date.now }),
      google: google.client && {
        oidc: new OidcProviders({ outbound: own, allow: ownAllow, nowMs: Date.now }),
        client: {
          issuer: google.issuer,
          clientId: google.client.id,
          clientSecret: google.client.secret.reveal(),
        },
      },
      workos:
        workos.account &&
        new WorkOs({
          outbound: own,
          url: workos.url,
          apiKey: workos.account.apiKey.reveal(),
          clientId: workos.account.clientId,
        }),
      sealing: createSealing(options.secret, 'single sign-on: way'),
      appUrl: options.appUrl,
    },
    stop() {
      named.close()
      own.close()
    },
  }
}
