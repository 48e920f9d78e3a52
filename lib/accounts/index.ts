/** The public face of the accounts. */

export { noStoredRules } from './access-rules.js'
export {
  isAccessToken,
  type TokenIdentity,
  type TokenListing,
  type TokenScope,
  tokenDaysMax,
} from './access-tokens.js'
export { type AccountsOptions, type AccountsService, createAccounts } from './accounts.js'
export type {
  ActionSettings,
  NotificationTarget,
  PageSettings,
  SettableKind,
} from './action-settings.js'
export type {
  ActionOverrides,
  CodeAccess,
  DeclarationPlace,
  DeclaredAction,
  DeclaredPage,
  StoredRule,
  StoredRules,
} from './actions.js'
export { type AdminDependencies, adminOperationNames, runAdminOperation } from './admin-operations.js'
export type { KeyKind, KeyListing } from './api-keys.js'
export { type AuditLogRow, exportedRowsMax } from './audit-log.js'
export type {
  Accounts,
  Actor,
  AuditEvent,
  ClientIdentity,
  EnvironmentRef,
  HostIdentity,
  OrganizationRef,
  Person,
  Role,
} from './contract.js'
export {
  type DueDelivery,
  defaultTargets,
  deliveredWithinAnHour,
  endDelivered,
  endUndelivered,
  type OwnNotification,
  ownNotifications,
  seenNotifications,
  takeDeliveries,
  waitingDeliveries,
} from './deliveries.js'
export type {
  Directory,
  DirectoryChange,
  DirectoryInfo,
} from './directories.js'
export {
  addDirectoryGroup,
  addGroupMembers,
  type DirectoryGroup,
  deleteDirectoryGroup,
  directoryGroup,
  listDirectoryGroups,
  removeGroupMembers,
  renameDirectoryGroup,
  setGroupMembers,
} from './directory-groups.js'
export {
  addDirectoryUser,
  changeDirectoryUser,
  type DirectoryUser,
  deleteDirectoryUser,
  directoryUser,
  listDirectoryUsers,
  type UserField,
  type WantedDirectoryUser,
} from './directory-people.js'
export { type EnvironmentInfo, environmentColors } from './environments.js'
export { type ExternalClaims, NotLetIn, type SignOnProblem } from './external-sign-in.js'
export type { Asker } from './guard.js'
export type {
  HistoryInput,
  HistoryLogLine,
  HistoryNotification,
  HistoryRow,
  HistoryStatus,
} from './history.js'
export type {
  ExportedTransaction,
  StoredRun,
  TransactionFilter,
  TransactionListing,
  TransactionPlace,
} from './history-lists.js'
export type { HttpHostInfo, HttpHostListing, HttpHostStatus } from './http-hosts.js'
export type { PendingInvitation } from './invitations.js'
export type { MemberListing } from './members.js'
export type { NewNotification, NotificationMethod } from './notifications.js'
export type { OrganizationSettings } from './organization-settings.js'
export type { ScryptParameters } from './passwords.js'
export {
  type AccessChain,
  type AccessLevel,
  type AccessRule,
  accessLevel,
  givenRoles,
  impliedPermissions,
  mayRun,
  type Permission,
  requirePermission,
  roleOf,
  type TeamLevel,
} from './permissions.js'
export { newQueueItemId, type Queue, type QueueListing } from './queue.js'
export { forgetOld, type Kept, takeTurn } from './retention.js'
export {
  deleteSchedule,
  insertSchedule,
  listScheduleRuns,
  listSchedules,
  noteApplied,
  ownerOfOrganization,
  pruneScheduleRuns,
  readSchedule,
  type ScheduleSettings,
  type StoredSchedule,
  type StoredScheduleRun,
  unappliedSchedules,
  updateSchedule,
  wantedSchedules,
  writeScheduleRuns,
} from './schedules.js'
export { createSealing, type Sealing } from './sealing.js'
export { isSessionToken } from './sessions.js'
export type { Origin, SignedIn } from './sign-in.js'
export { joiningRoles, type OrganizationProvider, type SingleSignOnSettings } from './single-sign-on.js'
export { SlackConnections } from './slack-connections.js'
export { slugShape } from './slugs.js'
export type { TeamAccess, TeamListing, TeamMember } from './teams.js'
