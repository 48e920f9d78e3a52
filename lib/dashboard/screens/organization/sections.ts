/**
 * The screens of an organization's sections. Each is a file of its own, loaded when somebody goes there. The server asks
 * for the permission again; here it only spares people a screen full of refusals.
 */
import { type ComponentType, type LazyExoticComponent, lazy } from 'react'
import type { Organization } from '../../api.js'
import type { Section } from './section-list.js'

/** What every section is given. It renders its own `<main>` with one `<h2>`. */
export interface SectionProps {
  readonly organization: Organization
  /** What follows the section in the address, e.g. the id of a team. */
  readonly rest: readonly string[]
}

export const sectionScreens: Record<Section['slug'], LazyExoticComponent<ComponentType<SectionProps>>> = {
  users: lazy(() => import('./users.js')),
  teams: lazy(() => import('./teams.js')),
  actions: lazy(() => import('./actions.js')),
  schedules: lazy(() => import('./schedules.js')),
  keys: lazy(() => import('./keys.js')),
  environments: lazy(() => import('./environments.js')),
  hosts: lazy(() => import('./hosts.js')),
  outbox: lazy(() => import('./channels.js')),
  settings: lazy(() => import('./settings.js')),
  sso: lazy(() => import('./sso.js')),
  audit: lazy(() => import('./audit.js')),
}
