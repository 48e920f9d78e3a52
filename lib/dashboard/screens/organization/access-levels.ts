/** What a team may do with an action or page, in the words of the screens. */
import type { ActionSettings, PageSettings, TeamLevel } from '../../api-organization.js'

export type Thing = ActionSettings | PageSettings

export const levelLabels: Record<TeamLevel, string> = {
  VIEWER: 'Viewer',
  RUNNER: 'Runner',
  ADMINISTRATOR: 'Administrator',
}
