/** What tests of an organization's sections share: its administrator, a developer called Bea and a runner called Cid. */
import type { Test } from 'tap'
import type { Seeded, TestServer } from '../support/server.js'
import { Stage } from './stage.js'

export interface OrganizationStage {
  readonly stage: Stage
  readonly server: TestServer
  readonly seeded: Seeded
  /** Where the organization begins. */
  readonly home: string
  /** Somebody more, with the password that everybody here has. */
  member(email: string, firstName: string, permissions: string[]): Promise<{ id: string }>
}

export async function organizationStage(t: Test): Promise<OrganizationStage> {
  const stage = await Stage.open(t)
  const { server } = stage
  const seeded = await stage.seed()
  const { id: organizationId, slug } = seeded.organization
  const member: OrganizationStage['member'] = (email, firstName, permissions) => {
    const person = { email, firstName, lastName: 'Quill', password: seeded.password }
    return server.admin('createUser', { ...person, membership: { organizationId, permissions } })
  }
  await member('bea@example.com', 'Bea', ['DEVELOPER'])
  await member('cid@example.com', 'Cid', ['ACTION_RUNNER'])
  return { stage, server, seeded, home: `/dashboard/${slug}`, member }
}
