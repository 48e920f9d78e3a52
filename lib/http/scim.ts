/**
 * SCIM 2.0 (RFC 7643, 7644) as text: what clients send becomes what the accounts understand, and back. Pure.
 *
 * Clients take liberties: `"False"` for false, operations in any case, members removed by a list or by a filter, values
 * under dotted names. What Okta and Entra ID send is understood; attributes that we do not keep are passed over.
 */
import type { DirectoryGroup, DirectoryUser, UserField, WantedDirectoryUser } from '../accounts/index.js'
import { AppError } from '../errors.js'

export const scimSchemas = {
  user: 'urn:ietf:params:scim:schemas:core:2.0:User',
  group: 'urn:ietf:params:scim:schemas:core:2.0:Group',
  list: 'urn:ietf:params:scim:api:messages:2.0:ListResponse',
  patch: 'urn:ietf:params:scim:api:messages:2.0:PatchOp',
  error: 'urn:ietf:params:scim:api:messages:2.0:Error',
  config: 'urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig',
  type: 'urn:ietf:params:scim:schemas:core:2.0:ResourceType',
  schema: 'urn:ietf:params:scim:schemas:core:2.0:Schema',
} as const

export const scimPageMax = 200
const operationsMax = 1_000
const membersMax = 10_000
const textCharactersMax = 1_000

/** An error that the client is told the kind of (RFC 7644, 3.12). */
export class ScimError extends AppError {
  readonly scimType: string

  constructor(scimType: 'invalidFilter' | 'invalidValue' | 'invalidPath' | 'invalidSyntax', message: string) {
    super('bad-request', message)
    this.scimType = scimType
  }
}

type Json = Readonly<Record<string, unknown>>

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Attribute names are the same in any case (RFC 7643, 2.1). */
function read(record: unknown, name: string): unknown {
  if (!isRecord(record)) return undefined
  if (Object.hasOwn(record, name)) return record[name]
  const found = Object.keys(record).find(key => key.toLowerCase() === name.toLowerCase())
  return found === undefined ? undefined : record[found]
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.slice(0, textCharactersMax) : null
}

/** Undefined for what says neither. */
function truth(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value
  const word = typeof value === 'string' ? value.toLowerCase() : ''
  return word === 'true' ? true : word === 'false' ? false : undefined
}

/** Whom a resource describes. @throws ScimError */
export function wantedUser(body: unknown): WantedDirectoryUser {
  const userName = text(read(body, 'userName'))
  if (userName === null) throw new ScimError('invalidValue', 'userName is required.')
  const emails = read(body, 'emails')
  const list: unknown[] = Array.isArray(emails) ? emails : []
  const best =
    list.find(email => truth(read(email, 'primary'))) ??
    list.find(email => read(email, 'type') === 'work') ??
    list[0]
  const name = read(body, 'name')
  return {
    userName,
    externalId: text(read(body, 'externalId')),
    email: text(read(best, 'value')) ?? userName,
    givenName: text(read(name, 'givenName')),
    familyName: text(read(name, 'familyName')),
    displayName: text(read(body, 'displayName')) ?? text(read(name, 'formatted')),
    isActive: truth(read(body, 'active')) ?? true,
  }
}

/** @throws ScimError */
export function wantedGroup(body: unknown): { name: string; externalId: string | null; members: string[] } {
  const name = text(read(body, 'displayName'))
  if (name === null) throw new ScimError('invalidValue', 'displayName is required.')
  return { name, externalId: text(read(body, 'externalId')), members: membersOf(read(body, 'members')) }
}

/** Ids of a list of members, or of one. @throws ScimError */
export function membersOf(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : value == null ? [] : [value]
  if (list.length > membersMax) throw new ScimError('invalidValue', 'These are too many members.')
  return list.map(member => {
    const id = text(typeof member === 'string' ? member : read(member, 'value'))
    if (id === null) throw new ScimError('invalidValue', 'A member has no value.')
    return id
  })
}

export interface PatchOperation {
  readonly op: 'add' | 'replace' | 'remove'
  /** Without the schema in front; empty where the value names the attributes. */
  readonly path: string
  readonly value: unknown
}

/** @throws ScimError */
export function patchOperations(body: unknown): PatchOperation[] {
  const operations = read(body, 'Operations')
  if (!Array.isArray(operations) || operations.length > operationsMax) {
    throw new ScimError('invalidSyntax', 'Operations is a list of operations.')
  }
  return operations.map(operation => {
    const op = String(read(operation, 'op') ?? '').toLowerCase()
    if (op !== 'add' && op !== 'replace' && op !== 'remove') {
      throw new ScimError('invalidSyntax', 'An operation is add, replace or remove.')
    }
    const path = (text(read(operation, 'path')) ?? '').replace(
      /^urn:ietf:params:scim:schemas:core:2\.0:\w+:/i,
      '',
    )
    return { op, path, value: read(operation, 'value') }
  })
}

/** The user after the operations. @throws ScimError */
export function patchedUser(
  user: WantedDirectoryUser,
  operations: readonly PatchOperation[],
): WantedDirectoryUser {
  let patched = user
  for (const { op, path, value } of operations) {
    if (path !== '') patched = withAttribute(patched, path, op === 'remove' ? null : value)
    else if (isRecord(value)) {
      for (const [name, inner] of Object.entries(value)) patched = withAttribute(patched, name, inner)
    } else throw new ScimError('invalidValue', 'An operation without a path needs an object.')
  }
  return patched
}

function withAttribute(user: WantedDirectoryUser, path: string, value: unknown): WantedDirectoryUser {
  const name = path.toLowerCase()
  if (name === 'active') {
    const isActive = truth(isRecord(value) ? read(value, 'active') : value)
    if (isActive === undefined) throw new ScimError('invalidValue', 'active is true or false.')
    return { ...user, isActive }
  }
  if (name === 'username') {
    const userName = text(value)
    if (userName === null) throw new ScimError('invalidValue', 'userName is required.')
    return { ...user, userName }
  }
  if (name === 'externalid') return { ...user, externalId: text(value) }
  if (name === 'displayname') return { ...user, displayName: text(value) }
  if (name === 'name.givenname') return { ...user, givenName: text(value) }
  if (name === 'name.familyname') return { ...user, familyName: text(value) }
  if (name === 'name') {
    const givenName = read(value, 'givenName')
    const familyName = read(value, 'familyName')
    return {
      ...user,
      ...(givenName !== undefined && { givenName: text(givenName) }),
      ...(familyName !== undefined && { familyName: text(familyName) }),
    }
  }
  if (name === 'emails') {
    const list = (Array.isArray(value) ? value : [value]).filter(isRecord)
    const best = list.find(email => truth(read(email, 'primary'))) ?? list[0]
    return { ...user, email: text(read(best, 'value')) ?? user.email }
  }
  // `emails[type eq "work"].value`, `emails[primary eq true].value`
  if (/^emails\[(type eq "work"|primary eq "?true"?)\]\.value$/.test(name)) {
    return { ...user, email: text(value) ?? user.email }
  }
  // Something that we do not keep.
  return user
}

/** What a filter asks for; null for none. @throws ScimError */
export function filterOf(filter: string | null): { field: UserField; value: string } | null {
  if (filter === null || filter.trim() === '') return null
  const match = /^\s*([\w.:[\]" ]+?)\s+eq\s+"((?:[^"\\]|\\["\\/])*)"\s*$/i.exec(filter.slice(0, 2_000))
  const name = match?.[1]?.replace(/^urn:ietf:params:scim:schemas:core:2\.0:\w+:/i, '').toLowerCase() ?? ''
  const field = Object.hasOwn(filterFields, name) ? filterFields[name] : undefined
  if (!match || field === undefined) {
    throw new ScimError(
      'invalidFilter',
      'Only `eq` on id, userName, externalId, displayName and emails.value can be asked for.',
    )
  }
  return { field, value: (match[2] ?? '').replace(/\\(.)/g, '$1') }
}

const filterFields: Readonly<Record<string, UserField>> = {
  id: 'id',
  username: 'userName',
  externalid: 'externalId',
  displayname: 'displayName',
  'emails.value': 'email',
  emails: 'email',
  'emails[type eq "work"].value': 'email',
}

/** The member of `members[value eq "…"]`; null for another path. */
export function memberOfPath(path: string): string | null {
  return /^members\[\s*value\s+eq\s+"([^"]+)"\s*\]$/i.exec(path)?.[1] ?? null
}

/** `startIndex` counts from 1; both are bounded, as the standard has it. */
export function pageOf(query: URLSearchParams): { offset: number; count: number } {
  const number = (name: string, otherwise: number): number => {
    const value = Number(query.get(name) ?? Number.NaN)
    return Number.isSafeInteger(value) ? value : otherwise
  }
  const count = Math.min(Math.max(number('count', scimPageMax), 0), scimPageMax)
  return { offset: Math.min(Math.max(number('startIndex', 1), 1) - 1, 10_000_000), count }
}

export function listResponse(resources: readonly object[], total: number, offset: number): object {
  return {
    schemas: [scimSchemas.list],
    totalResults: total,
    startIndex: offset + 1,
    itemsPerPage: resources.length,
    Resources: resources,
  }
}

/** `base`: address of the directory. */
export function userResource(user: DirectoryUser, base: string): object {
  return {
    schemas: [scimSchemas.user],
    id: user.id,
    ...(user.externalId !== null && { externalId: user.externalId }),
    userName: user.userName,
    name: {
      ...(user.givenName !== null && { givenName: user.givenName }),
      ...(user.familyName !== null && { familyName: user.familyName }),
    },
    ...(user.displayName !== null && { displayName: user.displayName }),
    emails: [{ value: user.email, type: 'work', primary: true }],
    active: user.isActive,
    groups: user.groups.map(group => ({
      value: group.id,
      display: group.name,
      $ref: `${base}/Groups/${group.id}`,
    })),
    meta: {
      resourceType: 'User',
      created: user.createdAt,
      lastModified: user.updatedAt,
      location: `${base}/Users/${user.id}`,
    },
  }
}

export function groupResource(group: DirectoryGroup, base: string): object {
  return {
    schemas: [scimSchemas.group],
    id: group.id,
    ...(group.externalId !== null && { externalId: group.externalId }),
    displayName: group.name,
    ...(group.members !== null && {
      members: group.members.map(member => ({
        value: member.id,
        display: member.name,
        $ref: `${base}/Users/${member.id}`,
      })),
    }),
    meta: {
      resourceType: 'Group',
      created: group.createdAt,
      lastModified: group.updatedAt,
      location: `${base}/Groups/${group.id}`,
    },
  }
}

export function serviceProviderConfig(base: string): object {
  return {
    schemas: [scimSchemas.config],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: scimPageMax },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: false },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'The token that the organization’s settings told once.',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
  }
}

export function resourceTypes(base: string): object[] {
  return (
    [
      ['User', 'Users', scimSchemas.user],
      ['Group', 'Groups', scimSchemas.group],
    ] as const
  ).map(([name, path, schema]) => ({
    schemas: [scimSchemas.type],
    id: name,
    name,
    endpoint: `/${path}`,
    schema,
    meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${name}` },
  }))
}

/** What we keep of each resource. */
export function schemaResources(base: string): object[] {
  const attribute = (name: string, more: object = {}): object => ({
    name,
    type: 'string',
    multiValued: false,
    required: false,
    caseExact: false,
    mutability: 'readWrite',
    returned: 'default',
    uniqueness: 'none',
    ...more,
  })
  const values = [attribute('value'), attribute('display')]
  const schema = (id: string, name: string, attributes: object[]): object => ({
    schemas: [scimSchemas.schema],
    id,
    name,
    attributes,
    meta: { resourceType: 'Schema', location: `${base}/Schemas/${id}` },
  })
  const list = { type: 'complex', multiValued: true, subAttributes: values }
  return [
    schema(scimSchemas.user, 'User', [
      attribute('userName', { required: true, uniqueness: 'server' }),
      attribute('externalId', { caseExact: true }),
      attribute('displayName'),
      attribute('name', {
        type: 'complex',
        subAttributes: [attribute('givenName'), attribute('familyName')],
      }),
      attribute('emails', {
        ...list,
        subAttributes: [...values, attribute('type'), attribute('primary', { type: 'boolean' })],
      }),
      attribute('active', { type: 'boolean' }),
      attribute('groups', { ...list, mutability: 'readOnly' }),
    ]),
    schema(scimSchemas.group, 'Group', [
      attribute('displayName', { required: true, uniqueness: 'server' }),
      attribute('externalId', { caseExact: true }),
      attribute('members', list),
    ]),
  ]
}
