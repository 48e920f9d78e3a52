/**
 * A real provider of OpenID Connect on this machine (`oidc-provider`), with people who sign in by typing their name, and
 * a browser without a screen that walks there and back.
 */
import { createServer, type Server } from 'node:http'
import Provider from 'oidc-provider'
import { freePort } from './ports.js'

/** What the provider says of somebody, besides who they are. */
export type ProviderPerson = Readonly<Record<string, unknown>>

export class OidcServer {
  readonly issuer: string
  readonly clientId = 'interval'
  readonly clientSecret = 'a secret of the client that is long enough'
  /** By the name they type. */
  readonly people = new Map<string, ProviderPerson>()
  readonly #server: Server

  private constructor(issuer: string, server: Server) {
    this.issuer = issuer
    this.#server = server
  }

  static async start(redirectUris: readonly string[]): Promise<OidcServer> {
    const port = await freePort()
    const issuer = `http://127.0.0.1:${port}`
    const server = createServer()
    const made = new OidcServer(issuer, server)
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: made.clientId,
          client_secret: made.clientSecret,
          redirect_uris: [...redirectUris],
          grant_types: ['authorization_code'],
          response_types: ['code'],
        },
      ],
      claims: {
        openid: ['sub'],
        email: ['email', 'email_verified'],
        profile: ['name', 'given_name', 'family_name', 'groups', 'hd'],
      },
      cookies: { keys: ['a key of the provider'] },
      pkce: { required: () => true },
      findAccount: (_context, id) => ({
        accountId: id,
        claims: () => ({ sub: id, ...made.people.get(id) }),
      }),
      // Nobody is asked whether the client may know.
      async loadExistingGrant(context) {
        const { client, session, params } = context.oidc
        const grant = new context.oidc.provider.Grant({
          clientId: client?.clientId ?? '',
          accountId: session?.accountId ?? '',
        })
        grant.addOIDCScope(String(params?.scope ?? ''))
        await grant.save()
        return grant
      },
    })
    server.on('request', provider.callback())
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
    return made
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }
}

/** Follows redirects with cookies, as a browser does with pages. */
export class Wanderer {
  /** By origin, then name. */
  readonly #cookies = new Map<string, Map<string, string>>()

  cookiesOf(origin: string): string {
    return [...(this.#cookies.get(origin) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  cookie(origin: string, name: string): string | undefined {
    return this.#cookies.get(origin)?.get(name)
  }

  setCookie(origin: string, name: string, value: string): void {
    const jar = this.#cookies.get(origin) ?? new Map<string, string>()
    jar.set(name, value)
    this.#cookies.set(origin, jar)
  }

  /** One request; redirects are not followed. */
  async ask(url: string, form?: Readonly<Record<string, string>>): Promise<Response> {
    const { origin } = new URL(url)
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: this.cookiesOf(origin), accept: 'text/html' },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    })
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';')
      const [name = '', value = ''] = pair.split(/=(.*)/s)
      const isGone =
        value === '' || attributes.some(attribute => /max-age=0|expires=.*1970/i.test(attribute.trim()))
      if (isGone) this.#cookies.get(origin)?.delete(name)
      else this.setCookie(origin, name, value)
    }
    return response
  }

  /** Follows redirects, signing in at the provider as `login` where it asks, until `stop` says so or there are no more. */
  async walk(url: string, login: string, stop: (next: URL) => boolean = () => false): Promise<string> {
    let next = url
    for (let steps = 0; steps < 20; steps += 1) {
      const response = await this.ask(next)
      const text = await response.text()
      const action = /<form[^>]*action="([^"]+)"/.exec(text)?.[1]
      const isForm = response.status === 200 && action !== undefined && text.includes('name="login"')
      const after = isForm
        ? await this.ask(new URL(action, next).href, { prompt: 'login', login, password: 'any' })
        : response
      const location = after.headers.get('location')
      if (location === null) return next
      const target = new URL(location, next)
      next = target.href
      if (stop(target)) return next
    }
    throw new Error(`too many redirects, last to ${next}`)
  }
}
