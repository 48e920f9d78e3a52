/** Why a request to an address of somebody else's got no answer. */

/**
 * - `invalid-url`: not an http or https URL, or one with a password in it; it can never succeed
 * - `address-refused`: the address is neither public nor allowed; it cannot succeed until the settings or the name change
 * - `unreachable`: no connection, so nothing was sent
 * - `timeout`: the whole exchange took longer than allowed; it may have arrived
 * - `too-large`: the answer is larger than allowed; the request has arrived
 * - `failed`: anything else: a broken answer, a broken connection, a request that cannot be written
 */
export type OutboundFailure =
  | 'invalid-url'
  | 'address-refused'
  | 'unreachable'
  | 'timeout'
  | 'too-large'
  | 'failed'

/** The message is one sentence that may be shown to whoever named the address. */
export class OutboundError extends Error {
  readonly reason: OutboundFailure

  constructor(reason: OutboundFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'OutboundError'
    this.reason = reason
  }
}
