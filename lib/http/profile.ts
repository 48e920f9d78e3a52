/** What the dashboard is told about who is signed in. */
import type { AccountsService, Person, Role } from '../accounts/index.js'

export interface Profile {
  readonly user: Person & { readonly emailConfirmed: boolean }
  readonly organizations: readonly {
    readonly id: string
    readonly slug: string
    readonly name: string
    readonly role: Role
    readonly permissions: readonly string[]
    readonly environments: readonly {
      readonly slug: string
      readonly name: string
      readonly color: string | null
    }[]
  }[]
}

export async function profileOf(accounts: AccountsService, user: Person): Promise<Profile> {
  const { emailConfirmed, places } = await accounts.profile(user.id)
  return { user: { ...user, emailConfirmed }, organizations: places }
}
