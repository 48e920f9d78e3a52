/** All that people do to an organization in its dashboard, put together. */
import { type ActionSettingsAccounts, createActionSettings } from './action-settings.js'
import { type AuditLogAccounts, createAuditLog } from './audit-log.js'
import type { ConfirmationLinks } from './email-confirmations.js'
import { createEnvironmentAccounts, type EnvironmentAccounts } from './environments.js'
import type { Guard } from './guard.js'
import { createInvitationAccounts, type InvitationAccounts } from './invitations.js'
import { createMemberAccounts, type MemberAccounts } from './members.js'
import { createOrganizationSettings, type OrganizationSettingsAccounts } from './organization-settings.js'
import { createTeamAccounts, type TeamAccounts } from './teams.js'

export interface Administration
  extends MemberAccounts,
    InvitationAccounts,
    TeamAccounts,
    EnvironmentAccounts,
    OrganizationSettingsAccounts,
    ActionSettingsAccounts,
    AuditLogAccounts {}

/** `links`: for those in mails. `operators`: slug of their organization, where one is named. */
export function createAdministration(
  guard: Guard,
  links: ConfirmationLinks,
  operators: string | null,
): Administration {
  return {
    ...createMemberAccounts(guard),
    ...createInvitationAccounts(guard, links),
    ...createTeamAccounts(guard),
    ...createEnvironmentAccounts(guard),
    ...createOrganizationSettings(guard, operators),
    ...createActionSettings(guard),
    ...createAuditLog(guard),
  }
}
