/** All routes by which people manage an organization. */
import { addActionSettingsRoutes } from './routes-action-settings.js'
import { addAuditRoutes } from './routes-audit.js'
import { addEnvironmentRoutes } from './routes-environments.js'
import type { HttpHostHooks } from './routes-http-hosts.js'
import { addMemberRoutes } from './routes-members.js'
import { addOrganizationSettingsRoutes } from './routes-organization-settings.js'
import { addTeamRoutes } from './routes-teams.js'
import type { HttpServer } from './server.js'

export function addAdministrationRoutes(
  http: HttpServer,
  httpHosts: Pick<HttpHostHooks, 'remove'> | undefined,
): void {
  addMemberRoutes(http)
  addTeamRoutes(http)
  addEnvironmentRoutes(http)
  addActionSettingsRoutes(http)
  addOrganizationSettingsRoutes(http, httpHosts)
  addAuditRoutes(http)
}
