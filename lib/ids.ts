import { randomBytes, randomUUID } from 'node:crypto'

/**
 * Identifiers, branded so that one kind is never taken for another. They are opaque text; each is made in one
 * place and checked where it enters the system.
 */
declare const brand: unique symbol
export type Branded<Kind extends string> = string & { readonly [brand]: Kind }

export type TransactionId = Branded<'transaction'>
export type PageKey = Branded<'page'>
/** One SDK process, for as long as it lives: it is sent again at each reconnect. */
export type InstanceId = Branded<'host instance'>
/** A serverless host that somebody has registered: an address, not a process. */
export type HttpHostId = Branded<'http host'>
/** One browser window. */
export type ClientId = Branded<'client'>
/** One socket: a new one at each connect. */
export type ConnectionId = Branded<'connection'>
export type NodeId = Branded<'node'>
export type UserId = Branded<'user'>
export type OrganizationId = Branded<'organization'>
export type EnvironmentId = Branded<'environment'>
export type ApiKeyId = Branded<'api key'>
export type SessionId = Branded<'session'>

/** What an entity is addressed by, e.g. `transaction:<id>`, `host:<instanceId>`, `environment:<id>`. */
export type EntityKey = `${string}:${string}`

const idPattern = /^[A-Za-z0-9_-]{8,64}$/

/** True for text that may be used as an id from outside: 8 to 64 of `A-Z a-z 0-9 _ -`. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && idPattern.test(text)
}

/** A new random id of 122 bits, as a UUID (SDKs require UUIDs on the wire). */
export function newId<Id extends string>(): Id {
  return randomUUID() as Id
}

/** Random text for secrets: 32 bytes, 43 characters of base64url. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url')
}
