/**
 * The JSON API of the node this page came from, with the session cookie. Errors arrive as `{code, message, fields?}`
 * and are thrown as `RequestError`; a node that cannot be reached, or answers with something else, is `unavailable`.
 */
import type { TransactionSnapshot } from '../clients/wire.js'
import type { ClusterStatus, EntityPlace } from '../http/cluster-status.js'
import { RequestError } from './connection.js'
import { isRecord } from './props.js'

export interface Environment {
  slug: string
  name: string
  color: string | null
}

export interface Organization {
  id: string
  slug: string
  name: string
  role: string
  /** All that the person may do there. */
  permissions: string[]
  /** It asks for a second factor, and the person has none: nothing of it is open to them. */
  lacksSecondFactor: boolean
  environments: Environment[]
}

export interface Session {
  user: {
    id: string
    email: string
    firstName: string | null
    lastName: string | null
    emailConfirmed: boolean
    /** IANA name, or null while it is not known. */
    timeZone: string | null
  }
  /** The server's tools for developing are on. */
  developmentTools?: boolean
  /** They are shown the state of the nodes. */
  isOperator: boolean
  organizations: Organization[]
}

/** What a browser without a session is told. */
export interface SignedOut {
  setupNeeded: boolean
  signUpEnabled: boolean
  /** The password was right; a code of the person's second factor is still to come. */
  secondFactorNeeded: boolean
  /** People may sign in with Google. */
  hasGoogle: boolean
}

export interface NewAccount {
  email: string
  firstName: string
  lastName: string
  password: string
  organizationName: string
  organizationPromoCode?: string
}

export type KeyKind = 'DEVELOPMENT' | 'PRODUCTION'

export interface ApiKey {
  id: string
  kind: KeyKind
  environment: string
  label: string
  /** Whose it is. */
  email: string
  /** The beginning of the key, to tell it apart. */
  prefix: string
  createdAtMs: number | null
  lastUsedAtMs: number | null
}

/** A row of the history. */
export interface TransactionRow {
  id: string
  slug: string
  name: string
  status: string
  /** How it ended; null while it has not. */
  resultStatus: string | null
  backgroundable: boolean
  startedAtMs: number | null
}

const requestMsMax = 30_000

export class Api {
  /** Null with what else is known when nobody is signed in. */
  async session(): Promise<{ session: Session } | { signedOut: SignedOut }> {
    const response = await fetchApi('GET', '/api/v1/session')
    const body = await readJson(response)
    if (response.status === 401) {
      return {
        signedOut: {
          setupNeeded: body.setupNeeded === true,
          signUpEnabled: body.signUpEnabled === true,
          secondFactorNeeded: body.secondFactorNeeded === true,
          hasGoogle: body.google === true,
        },
      }
    }
    if (!response.ok) throw errorOf(response, body)
    return { session: body as unknown as Session }
  }

  async signIn(email: string, password: string): Promise<void> {
    await callApi('POST', '/api/v1/session', { email, password })
  }

  /** Second step of signing in, where there is one: a code of an app, or a recovery code. */
  async enterSecondFactor(code: string): Promise<void> {
    await callApi('POST', '/api/v1/session/second-factor', { code })
  }

  /** One of the tools for developing: closes this window's socket, and all others, as a restart would. */
  async simulateRestart(): Promise<void> {
    await callApi('GET', '/api/system/reboot')
  }

  async signOut(): Promise<void> {
    await callApi('DELETE', '/api/v1/session')
  }

  /** First step of signing in: whether the address's organization has single sign-on, and asks for it. Null: it has not. */
  async checkEmail(email: string): Promise<{ required: boolean } | null> {
    const { singleSignOn } = await callApi('POST', '/api/v1/session/check', { email })
    return isRecord(singleSignOn) ? { required: singleSignOn.required === true } : null
  }

  /** First step of signing up: refuses an address that has an account. */
  async checkNewEmail(email: string): Promise<void> {
    await callApi('GET', `/api/v1/signup/check?email=${encodeURIComponent(email)}`)
  }

  async setUp(account: NewAccount): Promise<void> {
    await callApi('POST', '/api/v1/setup', account)
  }

  async signUp(account: NewAccount): Promise<void> {
    await callApi('POST', '/api/v1/signup', account)
  }

  async keys(organization: string): Promise<ApiKey[]> {
    return listOf(
      await callApi('GET', `/api/v1/organizations/${encodeURIComponent(organization)}/keys`),
      'keys',
    ).map(toKey)
  }

  /** The key's plain text is told this once. */
  async createKey(
    organization: string,
    key: { kind: KeyKind; environment: string; label: string },
  ): Promise<{ id: string; key: string }> {
    const made = await callApi('POST', `/api/v1/organizations/${encodeURIComponent(organization)}/keys`, key)
    return { id: String(made.id ?? ''), key: String(made.key ?? '') }
  }

  async revokeKey(organization: string, id: string): Promise<void> {
    const base = `/api/v1/organizations/${encodeURIComponent(organization)}/keys`
    await callApi('DELETE', `${base}/${encodeURIComponent(id)}`)
  }

  /** This person's transactions in one environment, newest first. */
  async transactions(
    place: { organization: string; environment: string },
    open: boolean,
  ): Promise<TransactionRow[]> {
    const organization = encodeURIComponent(place.organization)
    const environment = encodeURIComponent(place.environment)
    const query = open ? '?mine=1&open=1' : '?mine=1'
    const body = await callApi(
      'GET',
      `/api/v1/organizations/${organization}/environments/${environment}/transactions${query}`,
    )
    return listOf(body, 'transactions').map(toTransactionRow)
  }

  /** A run as the history has it, also long after it has ended; `not-found` when there is none for this person. */
  async pastTransaction(id: string): Promise<TransactionSnapshot> {
    return pastSnapshot(id, await callApi('GET', `/api/v1/transactions/${encodeURIComponent(id)}`))
  }

  /** For operators: the nodes and what they do. */
  async cluster(): Promise<ClusterStatus> {
    return (await callApi('GET', '/api/v1/cluster')) as unknown as ClusterStatus
  }

  /** For operators: which node leads a transaction. */
  async placeOfTransaction(id: string): Promise<EntityPlace> {
    const path = `/api/v1/cluster/transactions/${encodeURIComponent(id)}`
    return (await callApi('GET', path)) as unknown as EntityPlace
  }
}

/** One request with an answer in JSON. Other areas of the API (`api-*.ts`) are made of this. */
export async function callApi(
  method: string,
  path: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const response = await fetchApi(method, path, body)
  const answer = await readJson(response)
  if (!response.ok) throw errorOf(response, answer)
  return answer
}

async function fetchApi(method: string, path: string, body?: unknown): Promise<Response> {
  try {
    return await fetch(path, {
      method,
      credentials: 'same-origin',
      signal: AbortSignal.timeout(requestMsMax),
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch {
    throw new RequestError({
      code: 'unavailable',
      message: 'The server cannot be reached. Try again shortly.',
    })
  }
}

async function readJson(response: Response): Promise<Record<string, unknown>> {
  const body: unknown = await response.json().catch(() => null)
  if (Array.isArray(body)) return { items: body }
  return isRecord(body) ? body : {}
}

function errorOf(response: Response, body: Record<string, unknown>): RequestError {
  const fields = isRecord(body.fields)
    ? Object.fromEntries(Object.entries(body.fields).map(([name, text]) => [name, String(text)]))
    : {}
  return new RequestError({
    code: typeof body.code === 'string' ? body.code : 'internal',
    message: typeof body.message === 'string' ? body.message : `The server answered ${response.status}.`,
    fields,
  })
}

/** A list may be the whole body or a member of it. */
export function listOf(body: Record<string, unknown>, member: string): Record<string, unknown>[] {
  const list = body[member] ?? body.items
  return Array.isArray(list) ? list.filter(isRecord) : []
}

function toKey(row: Record<string, unknown>): ApiKey {
  const environment = isRecord(row.environment) ? row.environment.slug : row.environment
  return {
    id: String(row.id ?? ''),
    kind: row.kind === 'PRODUCTION' ? 'PRODUCTION' : 'DEVELOPMENT',
    environment: String(environment ?? ''),
    label: String(row.label ?? ''),
    email: isRecord(row.user) ? String(row.user.email ?? '') : '',
    prefix: String(row.prefix ?? ''),
    createdAtMs: momentOf(row.createdAtMs ?? row.createdAt),
    lastUsedAtMs: momentOf(row.lastUsedAtMs ?? row.lastUsedAt),
  }
}

function toTransactionRow(row: Record<string, unknown>): TransactionRow {
  return {
    id: String(row.id ?? row.transactionId ?? ''),
    slug: String(row.slug ?? ''),
    name: String(row.name ?? row.slug ?? ''),
    status: String(row.status ?? ''),
    resultStatus: typeof row.resultStatus === 'string' ? row.resultStatus : null,
    // The list of open ones may leave it out when it holds resumable ones only.
    backgroundable: row.backgroundable !== false,
    startedAtMs: momentOf(row.startedAtMs ?? row.startedAt ?? row.createdAt),
  }
}

/** A run of the history as if a node had told of it: nothing is open in it any more. */
function pastSnapshot(id: string, body: Record<string, unknown>): TransactionSnapshot {
  const place = isRecord(body.place) ? body.place : {}
  const { result } = body
  return {
    transactionId: id,
    place: { organization: String(place.organization ?? ''), environment: String(place.environment ?? '') },
    slug: String(body.slug ?? ''),
    name: String(body.name ?? ''),
    status: body.status as TransactionSnapshot['status'],
    backgroundable: body.backgroundable === true,
    warnOnClose: false,
    hostConnected: true,
    appends: true,
    steps: [],
    loading: null,
    logs: listOf(body, 'logs') as unknown as TransactionSnapshot['logs'],
    notifications: [],
    redirect: null,
    result: isRecord(result) ? (result as unknown as TransactionSnapshot['result']) : null,
    startedAtMs: momentOf(body.startedAtMs) ?? 0,
  }
}

export function momentOf(value: unknown): number | null {
  if (typeof value === 'number') return value
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}
