/**
 * Every method of the wire, in both directions: what goes in, what comes back.
 *
 * Calls from hosts are parsed once, here, into one form for all SDKs. Tolerant where versions differ (explicit nulls
 * from Python, `skipClientCall`, `title` for `label`, `action` for `route`, `callableActionNames`, `hasIndex`), strict
 * in types: a wrong type is refused as `invalid-value` and touches nothing. Unknown extra fields are dropped.
 */
import { z } from 'zod'
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import { declaration, declarationInputs } from './declaration.js'
import type { LoadingState, Redirect } from './io-call.js'

/** Absent, null and undefined are the same: undefined. */
export function tolerated<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform(value => value ?? undefined)
}

/** A place or time that nothing behind us could store counts as not given: the line itself is worth keeping. */
function within(value: number | undefined, max: number): number | undefined {
  return value !== undefined && value >= 0 && value <= max ? value : undefined
}

const id = z.string().min(1).max(128)
const resultStatuses = z.enum(['SUCCESS', 'FAILURE', 'CANCELED', 'REDIRECTED'])
/** As over HTTP. */
const deliveries = z
  .array(z.object({ to: z.string().max(320), method: tolerated(z.enum(['EMAIL', 'SLACK'])) }))
  .max(100)
/** The last moment of the year 9999, in ms: what databases and people can write down. */
const timeMsMax = 253_402_300_799_999

const alert = z.object({
  minSdkVersion: z.string(),
  severity: z.enum(['INFO', 'WARNING', 'ERROR']),
  message: z.string().nullish(),
})

/** Host → server. `inputs` parses and normalises; `returns` is what the SDKs accept as an answer. */
export const serverMethods = {
  INITIALIZE_HOST: {
    inputs: z
      .object({
        sdkName: tolerated(z.string().max(128)),
        sdkVersion: tolerated(z.string().max(128)),
        requestId: tolerated(id),
        timestamp: tolerated(z.number()),
        ...declarationInputs,
      })
      .transform(({ sdkName, sdkVersion, requestId, timestamp, ...declared }) => ({
        sdkName,
        sdkVersion,
        /** Given by hosts that were woken by HTTP, for one run. */
        requestId,
        /** Host's clock, ms; orders concurrent declarations of one host. */
        timestamp,
        ...declaration(declared),
      })),
    returns: z
      .discriminatedUnion('type', [
        z.object({
          type: z.literal('success'),
          environment: z.string(),
          invalidSlugs: z.array(z.string()),
          organization: z.object({ name: z.string(), slug: z.string() }),
          dashboardUrl: z.string(),
          warnings: z.array(z.string()),
          sdkAlert: alert.nullish(),
        }),
        z.object({ type: z.literal('error'), message: z.string(), sdkAlert: alert.nullish() }),
      ])
      .nullable(),
  },
  BEGIN_HOST_SHUTDOWN: {
    inputs: z.unknown().transform(() => ({})),
    returns: z.discriminatedUnion('type', [
      z.object({ type: z.literal('success') }),
      z.object({ type: z.literal('error'), message: z.string().optional() }),
    ]),
  },
  SEND_IO_CALL: {
    /** `ioCall` stays text; see `parseIoCall`. */
    inputs: z.object({ transactionId: id, ioCall: z.string() }),
    returns: z.union([z.boolean(), z.object({ type: z.literal('ERROR'), message: z.string().optional() })]),
  },
  SEND_PAGE: {
    /** `page` stays text; see `parsePageLayout`. Undefined when the page's handler returned nothing. */
    inputs: z.object({ pageKey: id, page: tolerated(z.string()) }),
    returns: z.boolean(),
  },
  SEND_LOADING_CALL: {
    /** `transactionId` may be a page key. */
    inputs: z
      .object({
        transactionId: id,
        label: tolerated(z.string()),
        title: tolerated(z.string()),
        description: tolerated(z.string()),
        itemsInQueue: tolerated(z.number().int()),
        itemsCompleted: tolerated(z.number().int()),
      })
      .transform(({ transactionId, label, title, description, itemsInQueue, itemsCompleted }) => ({
        transactionId,
        loading: {
          label: label ?? title ?? null,
          description: description ?? null,
          itemsInQueue: itemsInQueue ?? null,
          itemsCompleted: itemsCompleted ?? null,
        } satisfies LoadingState as LoadingState,
      })),
    returns: z.boolean(),
  },
  SEND_LOG: {
    inputs: z.object({
      transactionId: id,
      /** Cut at the limit; SDKs cut earlier. */
      data: z.string().transform(text => text.slice(0, limits.logLineCharactersMax)),
      index: tolerated(z.number().int()).transform(index => within(index, limits.logIndexMax)),
      /** Host's clock, ms. */
      timestamp: tolerated(z.number()).transform(timeMs => within(timeMs, timeMsMax)),
    }),
    returns: z.boolean(),
  },
  SEND_REDIRECT: {
    /** `transactionId` may be a page key. */
    inputs: z
      .object({
        transactionId: id,
        replace: tolerated(z.boolean()),
        url: tolerated(z.string()),
        download: tolerated(z.string()),
        route: tolerated(z.string()),
        action: tolerated(z.string()),
        params: tolerated(z.record(z.string(), z.unknown())),
      })
      .transform((call, context): { transactionId: string; redirect: Redirect } => {
        const { transactionId, replace, url, download, params } = call
        const route = call.route ?? call.action
        const replaces = replace === undefined ? {} : { replace }
        if (url !== undefined) {
          return {
            transactionId,
            redirect: { url, ...(download !== undefined && { download }), ...replaces },
          }
        }
        if (route !== undefined) {
          return { transactionId, redirect: { route, ...(params !== undefined && { params }), ...replaces } }
        }
        context.addIssue({ code: 'custom', message: 'a redirect needs a url or a route' })
        return z.NEVER
      }),
    returns: z.boolean(),
  },
  MARK_TRANSACTION_COMPLETE: {
    /** `result` stays text; see `parseTransactionResult`. */
    inputs: z.object({
      transactionId: id,
      resultStatus: tolerated(resultStatuses),
      result: tolerated(z.string()),
    }),
    returns: z.boolean(),
  },
  NOTIFY: {
    inputs: z.object({
      transactionId: id,
      message: z.string().max(10_000),
      title: tolerated(z.string().max(1_000)),
      deliveryInstructions: tolerated(deliveries),
      createdAt: tolerated(z.string()),
      idempotencyKey: tolerated(z.string().max(1024)),
    }),
    returns: z.boolean(),
  },
} as const

export type ServerMethodName = keyof typeof serverMethods

/** What a call of a host carries, after parsing. */
export type ServerMethodInputs<M extends ServerMethodName> = z.output<(typeof serverMethods)[M]['inputs']>
/** What the host may be answered. */
export type ServerMethodReturns<M extends ServerMethodName> = z.input<(typeof serverMethods)[M]['returns']>

/** A parsed call of a host, as a union to switch over. */
export type ServerCall = {
  [M in ServerMethodName]: { readonly method: M; readonly data: ServerMethodInputs<M> }
}[ServerMethodName]

export type InitializeHostInputs = ServerMethodInputs<'INITIALIZE_HOST'>
export type InitializeHostReturns = ServerMethodReturns<'INITIALIZE_HOST'>

export function isServerMethod(method: string): method is ServerMethodName {
  return Object.hasOwn(serverMethods, method)
}

/** True for methods whose every SDK understands a plain boolean as answer. */
export function returnsBoolean(method: ServerMethodName): boolean {
  return method !== 'INITIALIZE_HOST' && method !== 'BEGIN_HOST_SHUTDOWN'
}

/** Parses what a host called. Throws `not-found` for an unknown method, `invalid-value` for wrong input. */
export function parseServerCall(method: string, data: unknown): ServerCall {
  if (!isServerMethod(method)) throw new AppError('not-found', 'Unknown method.')
  const parsed = serverMethods[method].inputs.safeParse(data ?? {})
  if (!parsed.success) throw invalidValue(`The input of ${method} is not valid`, parsed.error)
  // The schema was chosen by the method, which the compiler cannot follow through the index.
  return { method, data: parsed.data } as ServerCall
}

/** The first issue by path, never the value: values may be secret, and large. */
export function invalidValue(what: string, error: z.ZodError): AppError {
  const issue = error.issues[0]
  const path = issue?.path.map(String).join('.').slice(0, 200) ?? ''
  const detail = issue === undefined ? '' : `: ${path === '' ? '' : `${path}: `}${issue.code}`
  return new AppError('invalid-value', `${what}${detail}.`)
}

const user = z.object({
  email: z.string(),
  firstName: z.string().nullable(),
  lastName: z.string().nullable(),
  role: z.enum(['admin', 'developer', 'member']),
  /** Slugs. */
  teams: z.array(z.string()),
})
const params = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
const nothing = z.unknown().transform(() => undefined)

/** Server → host. The superset may be sent to every version; SDKs drop what they do not know. */
export const hostMethods = {
  START_TRANSACTION: {
    inputs: z.object({
      transactionId: z.string(),
      displayResolvesImmediately: z.boolean().optional(),
      /** Full slug; the name by which 0.21 finds the action. */
      actionName: z.string(),
      action: z.object({ slug: z.string(), url: z.string() }),
      /** See `SdkVersion.environmentFor`. */
      environment: z.string(),
      user,
      params,
      paramsMeta: z.unknown().optional(),
    }),
    returns: nothing,
  },
  IO_RESPONSE: {
    /** `value` as `ioResponseText` makes it; `transactionId` may be a page key. */
    inputs: z.object({ transactionId: z.string(), value: z.string() }),
    returns: nothing,
  },
  CLOSE_TRANSACTION: { inputs: z.object({ transactionId: z.string() }), returns: nothing },
  OPEN_PAGE: {
    inputs: z.object({
      pageKey: z.string(),
      page: z.object({ slug: z.string() }),
      environment: z.string(),
      user,
      params,
      paramsMeta: z.unknown().optional(),
    }),
    returns: z.union([
      z.object({ type: z.literal('SUCCESS'), pageKey: z.string() }),
      z.object({ type: z.literal('ERROR'), message: tolerated(z.string()) }),
    ]),
  },
  CLOSE_PAGE: { inputs: z.object({ pageKey: z.string() }), returns: nothing },
} as const

export type HostMethodName = keyof typeof hostMethods
export type HostMethodInputs<M extends HostMethodName> = z.input<(typeof hostMethods)[M]['inputs']>
export type HostMethodReturns<M extends HostMethodName> = z.output<(typeof hostMethods)[M]['returns']>
export type StartTransactionInputs = HostMethodInputs<'START_TRANSACTION'>
export type OpenPageInputs = HostMethodInputs<'OPEN_PAGE'>
export type HostUser = z.infer<typeof user>

/** Parses what a host answered. Throws `invalid-value`. */
export function parseHostReturn<M extends HostMethodName>(method: M, data: unknown): HostMethodReturns<M> {
  const parsed = hostMethods[method].returns.safeParse(data)
  if (!parsed.success) throw invalidValue(`The answer to ${method} is not valid`, parsed.error)
  return parsed.data as HostMethodReturns<M>
}
