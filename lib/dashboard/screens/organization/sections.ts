/**
 * What there is to see of an organization: one line for each section, in the order of the navigation. A section is a
 * file of its own, loaded when somebody goes there, and shown to whoever holds its permission. The server asks for the
 * permission again; here it only spares people a screen full of refusals.
 */
import { type ComponentType, type LazyExoticComponent, lazy } from 'react'
import type { Organization } from '../../api.js'

/** What every section is given. It renders its own `<main>` with one `<h2>`. */
export interface SectionProps {
  readonly organization: Organization
  /** What follows the section in the address, e.g. the id of a team. */
  readonly rest: readonly string[]
}

export interface Section {
  /** Its part of the address. */
  readonly slug: string
  readonly label: string
  readonly permission: string
  readonly Screen: LazyExoticComponent<ComponentType<SectionProps>>
}

export const sections: readonly Section[] = [
  { slug: 'users', label: 'Users', permission: 'READ_ORG_USERS', Screen: lazy(() => import('./users.js')) },
  { slug: 'teams', label: 'Teams', permission: 'READ_ORG_USERS', Screen: lazy(() => import('./teams.js')) },
  {
    slug: 'actions',
    label: 'Actions and access',
    permission: 'WRITE_PROD_ACTIONS',
    Screen: lazy(() => import('./actions.js')),
  },
  {
    slug: 'schedules',
    label: 'Schedules',
    permission: 'WRITE_PROD_ACTIONS',
    Screen: lazy(() => import('./schedules.js')),
  },
  { slug: 'keys', label: 'Keys', permission: 'CREATE_DEV_API_KEYS', Screen: lazy(() => import('./keys.js')) },
  {
    slug: 'environments',
    label: 'Environments',
    permission: 'READ_ORG_SETTINGS',
    Screen: lazy(() => import('./environments.js')),
  },
  {
    slug: 'hosts',
    label: 'Serverless hosts',
    permission: 'READ_ORG_SETTINGS',
    Screen: lazy(() => import('./hosts.js')),
  },
  {
    slug: 'outbox',
    label: 'Mail and Slack',
    permission: 'WRITE_ORG_SETTINGS',
    Screen: lazy(() => import('./channels.js')),
  },
  {
    slug: 'settings',
    label: 'Settings',
    permission: 'READ_ORG_SETTINGS',
    Screen: lazy(() => import('./settings.js')),
  },
  {
    slug: 'sso',
    label: 'Single sign-on',
    permission: 'WRITE_ORG_SETTINGS',
    Screen: lazy(() => import('./sso.js')),
  },
  {
    slug: 'audit',
    label: 'Audit log',
    permission: 'WRITE_ORG_SETTINGS',
    Screen: lazy(() => import('./audit.js')),
  },
]

/** The sections a person may see. */
export function sectionsFor({ permissions }: Pick<Organization, 'permissions'>): readonly Section[] {
  return sections.filter(section => permissions.includes(section.permission))
}
