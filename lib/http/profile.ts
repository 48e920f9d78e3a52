/** What the dashboard is told about who is signed in. */
import type { AccountsService, Person, Role } from '../accounts/index.js'

export interface Profile {
  readonly user: Person & { readonly emailConfirmed: boolean; readonly timeZone: string | null }
  readonly organizations: readonly {
    readonly id: string
    readonly slug: string
    readonly name: string
    readonly role: Role
    readonly permissions: readonly string[]
    /** It asks for a second factor, and the person has none: nothing of it is open to them. */
    readonly lacksSecondFactor: boolean
    readonly environments: readonly {
      readonly slug: string
      readonly name: string
      readonly color: string | null
    }[]
  }[]
  /** They see the state of the nodes. */
  readonly isOperator: boolean
}

export async function profileOf(accounts: AccountsService, user: Person): Promise<Profile> {
  const { emailConfirmed, isOperator, places, timeZone } = await accounts.profile(user.id)
  return { user: { ...user, emailConfirmed, timeZone }, organizations: places, isOperator }
}
