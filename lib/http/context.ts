/** One request as a handler sees it: parsed, bounded, and with the ways to find out who is asking. */
import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import type {
  AccountsService,
  Asker,
  ClientIdentity,
  HostIdentity,
  Origin,
  Person,
} from '../accounts/index.js'
import { AppError } from '../errors.js'
import type { Reply } from './reply.js'

/** `Body` is what the route takes. */
export interface Context<Body = unknown> {
  readonly request: IncomingMessage
  readonly method: string
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly accounts: AccountsService
  /** For audit rows and new sessions. */
  readonly origin: Origin
  /** The value of the session cookie, whatever it is worth. */
  readonly token: string | undefined
  /**
   * The JSON body, checked against the shape that the route gives, or this one. Rejects with `bad-request` or
   * `invalid-value`, naming fields.
   */
  body(): Promise<Body>
  body<Value>(shape: z.ZodType<Value>): Promise<Value>
  /** Who is signed in, or null. */
  session(): Promise<ClientIdentity | null>
  /** Rejects with `not-signed-in`. */
  signedIn(): Promise<ClientIdentity>
  /**
   * Who asks: who is signed in, or the person of an access token, on routes of the API. Rejects with `not-signed-in`, and
   * with `forbidden` where the token may only read.
   */
  person(): Promise<Person>
  /** The key in the Authorization header, if there is one. */
  bearer(): string | undefined
  setSession(token: string, expiresAtMs: number): Record<string, string>
  clearSession(): Record<string, string>
}

export type Handler<Body = unknown> = (context: Context<Body>) => Promise<Reply> | Reply

/** Checks a parsed body against a shape. */
export function checked<Value>(value: unknown, shape: z.ZodType<Value>): Value {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('bad-request', 'Send a JSON object.')
  }
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  const fields: Record<string, string> = {}
  for (const issue of parsed.error.issues) fields[issue.path.join('.') || 'body'] ??= issue.message
  const words = Object.entries(fields).map(([path, message]) => `${path}: ${message}`)
  throw new AppError('bad-request', words.slice(0, 5).join('; '), { fields })
}

/** Who wants something of the organization in the path. Rejects with `not-signed-in`. */
export async function askerOf(context: Context): Promise<Asker> {
  const { id: userId } = await context.person()
  return { userId, organization: context.params.org ?? '', origin: context.origin }
}

/** The same for what is left to people: access tokens are refused. */
export async function signedInAskerOf(context: Context): Promise<Asker> {
  const { user } = await context.signedIn()
  return { userId: user.id, organization: context.params.org ?? '', origin: context.origin }
}

/** The key of a host, checked. Rejects with `not-signed-in` without a key, `invalid-api-key` with a wrong one. */
export async function hostOf(context: Context): Promise<HostIdentity> {
  return await hostOfKey(context.accounts, context.bearer(), context.path, () => context.origin.address)
}

/** The same of a key that was found in a request to `path`. A wrong one is an audit row with the address it came from. */
export async function hostOfKey(
  accounts: Pick<AccountsService, 'audit' | 'authenticateKey'>,
  key: string | undefined,
  path: string,
  address: () => string | null,
): Promise<HostIdentity> {
  if (key === undefined) {
    throw new AppError('not-signed-in', 'No API key: send it as "Authorization: Bearer <key>".')
  }
  try {
    return await accounts.authenticateKey(key)
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid-api-key') {
      accounts.audit({ name: 'access.denied', address: address(), details: { what: 'api key', path } })
    }
    throw error
  }
}
