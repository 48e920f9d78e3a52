/**
 * Every error a person or a peer can be shown: code, message, HTTP status, websocket close code, retryable or not.
 *
 * Operating errors are `AppError`s with one of these codes; anything else that is thrown is a programmer's error,
 * is logged with a correlation id, and reaches the caller only as `internal`. The table in the documentation is
 * generated from this object.
 */
export interface ErrorKind {
  /** Shown to people when the thrower gives no better sentence. */
  readonly message: string
  readonly status: number
  /** Close code for a socket that cannot go on; absent where the socket stays open. */
  readonly closeCode?: number
  /** True when the same request may succeed later without being changed. */
  readonly retryable: boolean
}

export const errorKinds = {
  'bad-request': { message: 'The request is malformed.', status: 400, retryable: false },
  'invalid-value': { message: 'A value is not valid.', status: 422, retryable: false },
  'not-signed-in': { message: 'Sign in first.', status: 401, closeCode: 4401, retryable: false },
  'bad-credentials': { message: 'Email address or password is wrong.', status: 401, retryable: false },
  'invalid-api-key': { message: 'Invalid API key.', status: 403, closeCode: 1008, retryable: false },
  forbidden: { message: 'You may not do this.', status: 403, retryable: false },
  'identity-unproven': {
    message: 'Confirm your identity first.',
    status: 403,
    retryable: false,
  },
  'second-factor-required': {
    message: 'This organization asks for a second factor. Set one up in your account first.',
    status: 403,
    retryable: false,
  },
  'cross-origin': {
    message: 'Requests from this origin are not allowed.',
    status: 403,
    closeCode: 1008,
    retryable: false,
  },
  'not-found': { message: 'Not found.', status: 404, retryable: false },
  conflict: { message: 'It already exists or was changed meanwhile.', status: 409, retryable: false },
  'already-answered': { message: 'This step was answered already.', status: 409, retryable: false },
  'call-superseded': { message: 'This step was replaced by a newer one.', status: 409, retryable: false },
  'transaction-closed': { message: 'This transaction has ended.', status: 409, retryable: false },
  'client-usurped': {
    message: 'This transaction was opened in another window.',
    status: 409,
    retryable: false,
  },
  'host-not-found': { message: 'No connected host serves this.', status: 503, retryable: true },
  'host-timeout': { message: 'The host did not answer in time.', status: 504, retryable: true },
  'too-large': { message: 'The message is too large.', status: 413, closeCode: 1009, retryable: false },
  'invalid-frame': { message: 'The frame is not valid.', status: 400, closeCode: 1007, retryable: false },
  'too-many-requests': {
    message: 'Too many requests. Slow down.',
    status: 429,
    closeCode: 1008,
    retryable: true,
  },
  'queue-full': { message: 'The server is busy. Try again shortly.', status: 503, retryable: true },
  'storage-full': {
    message: 'The disk of this node is full: nothing new is taken until there is room again.',
    status: 507,
    retryable: true,
  },
  unavailable: { message: 'Not available right now. Try again shortly.', status: 503, retryable: true },
  'copies-away': {
    message: 'The nodes that keep this do not answer right now. Try again shortly.',
    status: 503,
    retryable: true,
  },
  isolated: {
    message: 'This server is cut off from the others and can keep nothing right now. Try again shortly.',
    status: 503,
    retryable: true,
  },
  'not-joined': {
    message: 'This server has not joined its cluster yet. Try again shortly.',
    status: 503,
    retryable: true,
  },
  draining: {
    message: 'This node is shutting down. Connect again.',
    status: 503,
    closeCode: 1012,
    retryable: true,
  },
  timeout: { message: 'It took too long.', status: 504, retryable: true },
  damaged: { message: 'Stored data is damaged and was set aside.', status: 500, retryable: false },
  internal: { message: 'Something went wrong on our side.', status: 500, retryable: true },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorKinds

/** An error whose code and message may be shown to whoever caused it. */
export class AppError extends Error {
  readonly code: ErrorCode
  /** Which input was wrong, by path, where the code is about input. */
  readonly fields: Readonly<Record<string, string>> | undefined

  constructor(
    code: ErrorCode,
    message?: string,
    options: { cause?: unknown; fields?: Record<string, string> } = {},
  ) {
    super(
      message ?? errorKinds[code].message,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.name = 'AppError'
    this.code = code
    this.fields = options.fields
  }

  get kind(): ErrorKind {
    return errorKinds[this.code]
  }
}

export interface ErrorBody {
  readonly code: ErrorCode
  readonly message: string
  readonly fields?: Readonly<Record<string, string>>
}

/** What a caller is told: the error itself when it is ours, otherwise `internal` without any detail. */
export function errorBody(error: unknown): ErrorBody {
  if (error instanceof AppError) {
    return { code: error.code, message: error.message, ...(error.fields && { fields: error.fields }) }
  }
  return { code: 'internal', message: errorKinds.internal.message }
}
