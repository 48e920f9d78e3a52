/** What the files about people are built with. */
import type { Database } from '../database/index.js'
import type { Limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Audit } from './audit.js'
import type { Clock } from './clock.js'
import type { ConfirmationLinks } from './email-confirmations.js'
import type { Identities } from './identities.js'
import type { LoginLimits } from './login-limits.js'
import type { Passwords } from './passwords.js'
import type { SecondFactors } from './second-factors.js'

export interface AccountParts {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  readonly limits: Limits
  readonly audit: Audit
  readonly identities: Identities
  readonly passwords: Passwords
  readonly secondFactors: SecondFactors
  /** Guesses of passwords and codes, wherever they are made. */
  readonly attempts: LoginLimits
  readonly links: ConfirmationLinks
  /** False where mails only wait to be read by administrators: then nothing depends on one. */
  readonly sendsMail: boolean
  /** Slug of the organization of operators, where one is named: nobody gets it by choosing a name. */
  readonly operators: string | null
}
