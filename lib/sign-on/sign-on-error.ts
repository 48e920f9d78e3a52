/** Why a provider did not say who somebody is. */

/**
 * - `unreachable`: it did not answer, or what it answered is no OpenID Connect: whoever set it up has to look
 * - `refused`: it answered and said no, or what it said does not hold: the person may begin anew
 */
export type SignOnFailure = 'unreachable' | 'refused'

/** The message is one sentence that may be shown to whoever set the provider up. */
export class SignOnError extends Error {
  readonly reason: SignOnFailure

  constructor(reason: SignOnFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'SignOnError'
    this.reason = reason
  }
}
