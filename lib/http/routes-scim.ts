/**
 * SCIM 2.0 for the programs of organizations: `/scim/v2/<organization>/Users` and so on, with the bearer token of that
 * organization's directory. Errors look as the standard has them.
 *
 * Invariant: what has no token of this very organization is refused before anything of the request is looked at.
 */

import { z } from 'zod'
import {
  addDirectoryGroup,
  addDirectoryUser,
  addGroupMembers,
  changeDirectoryUser,
  type Directory,
  type DirectoryChange,
  deleteDirectoryGroup,
  deleteDirectoryUser,
  directoryGroup,
  directoryUser,
  listDirectoryGroups,
  listDirectoryUsers,
  removeGroupMembers,
  renameDirectoryGroup,
  setGroupMembers,
} from '../accounts/index.js'
import { AppError, type ErrorCode } from '../errors.js'
import type { Context } from './context.js'
import type { Reply } from './reply.js'
import {
  filterOf,
  groupResource,
  listResponse,
  memberOfPath,
  membersOf,
  type PatchOperation,
  pageOf,
  patchedUser,
  patchOperations,
  resourceTypes,
  ScimError,
  schemaResources,
  scimSchemas,
  serviceProviderConfig,
  userResource,
  wantedGroup,
  wantedUser,
} from './scim.js'
import type { HttpMethod, HttpServer } from './server.js'

const root = '/scim/v2/:organization'
const headers = { 'content-type': 'application/scim+json' }
const anyObject = z.record(z.string(), z.unknown())

type Work = (
  context: Context,
  directory: Directory,
  /** Address of the directory, for links. */
  base: string,
) => Promise<Reply>

export function addScimRoutes(http: HttpServer, { appUrl }: { readonly appUrl: string }): void {
  const route = (method: HttpMethod, path: string, work: Work): void =>
    http.route(method, root + path, { caller: 'open', isCounted: true }, async context => {
      try {
        const directory = await directoryOf(context)
        const base = new URL(`/scim/v2/${directory.organizationId}`, appUrl).href
        const reply = await work(context, directory, base)
        return { ...reply, headers: { ...headers, ...reply.headers } }
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        return failure(error)
      }
    })

  const change = <Result>(
    context: Context,
    directory: Directory,
    work: (change: DirectoryChange) => Promise<Result>,
  ): Promise<Result> => context.accounts.changeDirectory(directory, context.origin.address, work)

  route('GET', '/ServiceProviderConfig', async (_context, _directory, base) =>
    found(serviceProviderConfig(base)),
  )
  route('GET', '/ResourceTypes', async (_context, _directory, base) => found(listOf(resourceTypes(base))))
  route('GET', '/ResourceTypes/:id', async (context, _directory, base) =>
    found(named(resourceTypes(base), context.params.id)),
  )
  route('GET', '/Schemas', async (_context, _directory, base) => found(listOf(schemaResources(base))))
  route('GET', '/Schemas/:id', async (context, _directory, base) =>
    found(named(schemaResources(base), context.params.id)),
  )

  route('GET', '/Users', async (context, directory, base) => {
    const page = pageOf(context.query)
    const by = filterOf(context.query.get('filter')) ?? undefined
    const { items, total } = await listDirectoryUsers(context.accounts.database, directory, { ...page, by })
    return found(
      listResponse(
        items.map(user => userResource(user, base)),
        total,
        page.offset,
      ),
    )
  })
  route('POST', '/Users', async (context, directory, base) => {
    const wanted = wantedUser(await context.body(anyObject))
    const user = await change(context, directory, under => addDirectoryUser(under, wanted))
    const location = `${base}/Users/${user.id}`
    return { status: 201, body: userResource(user, base), headers: { location } }
  })
  route('GET', '/Users/:id', async (context, directory, base) => {
    const user = await directoryUser(context.accounts.database, directory, context.params.id ?? '')
    return found(userResource(user, base))
  })
  route('PUT', '/Users/:id', async (context, directory, base) => {
    const wanted = wantedUser(await context.body(anyObject))
    const { id = '' } = context.params
    const user = await change(context, directory, under => changeDirectoryUser(under, id, wanted))
    return found(userResource(user, base))
  })
  route('PATCH', '/Users/:id', async (context, directory, base) => {
    const operations = patchOperations(await context.body(anyObject))
    const { id = '' } = context.params
    const user = await change(context, directory, async under => {
      const before = await directoryUser(under.client, directory, id)
      return changeDirectoryUser(under, id, patchedUser(before, operations))
    })
    return found(userResource(user, base))
  })
  route('DELETE', '/Users/:id', async (context, directory) => {
    await change(context, directory, under => deleteDirectoryUser(under, context.params.id ?? ''))
    return { status: 204 }
  })

  route('GET', '/Groups', async (context, directory, base) => {
    const page = pageOf(context.query)
    const filter = filterOf(context.query.get('filter'))
    if (filter?.field === 'userName' || filter?.field === 'email') {
      throw new ScimError('invalidFilter', 'Groups have a displayName and an externalId.')
    }
    const by = filter ? { field: filter.field, value: filter.value } : undefined
    const { items, total } = await listDirectoryGroups(context.accounts.database, directory, {
      ...page,
      by: by as { field: 'id' | 'displayName' | 'externalId'; value: string } | undefined,
      withMembers: withMembers(context),
    })
    return found(
      listResponse(
        items.map(group => groupResource(group, base)),
        total,
        page.offset,
      ),
    )
  })
  route('POST', '/Groups', async (context, directory, base) => {
    const wanted = wantedGroup(await context.body(anyObject))
    const group = await change(context, directory, under => addDirectoryGroup(under, wanted))
    const location = `${base}/Groups/${group.id}`
    return { status: 201, body: groupResource(group, base), headers: { location } }
  })
  route('GET', '/Groups/:id', async (context, directory, base) => {
    const { id = '' } = context.params
    const group = await directoryGroup(context.accounts.database, directory, id, withMembers(context))
    return found(groupResource(group, base))
  })
  route('PUT', '/Groups/:id', async (context, directory, base) => {
    const wanted = wantedGroup(await context.body(anyObject))
    const { id = '' } = context.params
    const group = await change(context, directory, async under => {
      await renameDirectoryGroup(under, id, wanted)
      await setGroupMembers(under, id, wanted.members)
      return directoryGroup(under.client, directory, id)
    })
    return found(groupResource(group, base))
  })
  route('PATCH', '/Groups/:id', async (context, directory) => {
    const operations = patchOperations(await context.body(anyObject))
    const { id = '' } = context.params
    await change(context, directory, async under => {
      // Also where no operation changes anything.
      await directoryGroup(under.client, directory, id, false)
      for (const operation of operations) await patchGroup(under, id, operation)
    })
    return { status: 204 }
  })
  route('DELETE', '/Groups/:id', async (context, directory) => {
    await change(context, directory, under => deleteDirectoryGroup(under, context.params.id ?? ''))
    return { status: 204 }
  })
}

async function directoryOf(context: Context): Promise<Directory> {
  const { accounts, origin, params } = context
  const directory = await accounts.directoryOfToken(params.organization ?? '', context.bearer())
  if (directory) return directory
  accounts.audit({ name: 'access.denied', address: origin.address, details: { what: 'directory token' } })
  throw new AppError('not-signed-in', 'Send the token of this directory as a bearer token.')
}

async function patchGroup(under: DirectoryChange, id: string, operation: PatchOperation): Promise<void> {
  const { op, path, value } = operation
  const name = path.toLowerCase()
  const one = memberOfPath(path)
  if (one !== null) {
    if (op === 'remove') await removeGroupMembers(under, id, [one])
    else await addGroupMembers(under, id, [one])
  } else if (name === 'members') {
    if (op === 'add') await addGroupMembers(under, id, membersOf(value))
    else if (op === 'replace') await setGroupMembers(under, id, membersOf(value))
    else if (value === undefined || value === null) await setGroupMembers(under, id, [])
    else await removeGroupMembers(under, id, membersOf(value))
  } else if (name === 'displayname' || name === 'externalid') {
    const group = await directoryGroup(under.client, under.directory, id, false)
    const text = typeof value === 'string' ? value : null
    await renameDirectoryGroup(under, id, {
      name: name === 'displayname' ? (text ?? '') : group.name,
      externalId: name === 'externalid' ? text : group.externalId,
    })
  } else if (name === '' && typeof value === 'object' && value !== null && op !== 'remove') {
    for (const [key, inner] of Object.entries(value)) {
      if (key !== '') await patchGroup(under, id, { op, path: key, value: inner })
    }
  }
}

function withMembers(context: Context): boolean {
  const left = (context.query.get('excludedAttributes') ?? '').toLowerCase().split(',')
  return !left.some(name => name.trim() === 'members')
}

function found(body: object): Reply {
  return { status: 200, body }
}

function listOf(resources: readonly object[]): object {
  return listResponse(resources, resources.length, 0)
}

function named(resources: readonly object[], id: string | undefined): object {
  const resource = resources.find(candidate => 'id' in candidate && candidate.id === id)
  if (!resource) throw new AppError('not-found')
  return resource
}

const statuses: Partial<Record<ErrorCode, number>> = { 'invalid-value': 400 }

function failure(error: AppError): Reply {
  const status = statuses[error.code] ?? error.kind.status
  const scimType =
    error instanceof ScimError
      ? error.scimType
      : error.code === 'invalid-value'
        ? 'invalidValue'
        : error.code === 'conflict'
          ? 'uniqueness'
          : undefined
  return {
    status,
    headers: { ...headers, ...(status === 401 && { 'www-authenticate': 'Bearer' }) },
    body: {
      schemas: [scimSchemas.error],
      status: String(status),
      detail: error.message,
      ...(scimType && { scimType }),
    },
  }
}
