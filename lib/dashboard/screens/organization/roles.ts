/** The roles of an organization in the words of its members. */
import type { RoleName } from '../../api-organization.js'

export const givenRoles = [
  { value: 'ADMIN', label: 'Administrator', hint: 'Everything, also members, live keys and settings.' },
  { value: 'DEVELOPER', label: 'Developer', hint: 'Runs and writes actions, decides who may run them.' },
  { value: 'ACTION_RUNNER', label: 'Action runner', hint: 'Runs live actions.' },
] as const satisfies readonly { value: RoleName; label: string; hint: string }[]

export function roleLabel(role: RoleName | null): string {
  if (role === 'READONLY_VIEWER') return 'Viewer'
  return givenRoles.find(({ value }) => value === role)?.label ?? 'Custom'
}

export function roleHint(role: string): string | undefined {
  return givenRoles.find(({ value }) => value === role)?.hint
}

/** First and last name, or the address of who has none. */
export function memberName(member: {
  email: string
  firstName: string | null
  lastName: string | null
}): string {
  return [member.firstName, member.lastName].filter(Boolean).join(' ') || member.email
}
