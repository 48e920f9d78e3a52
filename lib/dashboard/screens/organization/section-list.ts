/**
 * What there is to see of an organization, in the order of the navigation: where it is, what it is called, and who is
 * shown it. Pure, so that whatever leads there can list it without loading it; the screens are in sections.ts.
 */
export const sectionList = [
  { slug: 'users', label: 'Users', permission: 'READ_ORG_USERS' },
  { slug: 'teams', label: 'Teams', permission: 'READ_ORG_USERS' },
  { slug: 'actions', label: 'Actions and access', permission: 'WRITE_PROD_ACTIONS' },
  { slug: 'schedules', label: 'Schedules', permission: 'WRITE_PROD_ACTIONS' },
  { slug: 'keys', label: 'Keys', permission: 'CREATE_DEV_API_KEYS' },
  { slug: 'environments', label: 'Environments', permission: 'READ_ORG_SETTINGS' },
  { slug: 'hosts', label: 'Serverless hosts', permission: 'READ_ORG_SETTINGS' },
  { slug: 'outbox', label: 'Mail and Slack', permission: 'WRITE_ORG_SETTINGS' },
  { slug: 'settings', label: 'Settings', permission: 'READ_ORG_SETTINGS' },
  { slug: 'sso', label: 'Single sign-on', permission: 'WRITE_ORG_SETTINGS' },
  { slug: 'audit', label: 'Audit log', permission: 'WRITE_ORG_SETTINGS' },
] as const

export type Section = (typeof sectionList)[number]

/** The sections a person may see. */
export function sectionsFor({ permissions }: { permissions: readonly string[] }): readonly Section[] {
  return sectionList.filter(section => permissions.includes(section.permission))
}
