/** Organizations a person is in, is invited to, or makes. */
import { useState } from 'react'
import type { Organization } from '../../api.js'
import { accountApi } from '../../api-account.js'
import { AppLink, useGo } from '../../components/app-link.js'
import { Ask } from '../../components/ask.js'
import { Input } from '../../components/input.js'
import { Problem } from '../../components/notice.js'
import { Part, Section } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { consoleEnvironment, listHref, placeHref } from '../../links.js'
import { useLive } from '../../services.js'
import type { SectionProps } from './frame.js'

const roles: Readonly<Record<string, string>> = {
  admin: 'Administrator',
  developer: 'Developer',
  member: 'Member',
}

export default function OrganizationsSection({ account, reload }: SectionProps) {
  const { refresh, session } = useLive()
  const [leaving, setLeaving] = useState<Organization | null>(null)
  return (
    <Section title="Organizations">
      <Invitations account={account} reload={reload} />
      {session.organizations.length === 0 && account.invitations.length === 0 && (
        <p className="text-muted">
          You are in no organization. Ask an administrator for an invitation
          {account.mayCreateOrganizations ? ', or create one' : ''}.
        </p>
      )}
      {session.organizations.length > 0 && (
        <ul className="card divide-y divide-line">
          {session.organizations.map(organization => (
            <li key={organization.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
              <span className="min-w-0 flex-1 basis-48">
                <AppLink
                  href={placeHref({ organization: organization.slug, environment: 'production' })}
                  className="link font-medium"
                >
                  {organization.name}
                </AppLink>
                <span className="block text-sm text-muted">
                  {account.ownedOrganizations.includes(organization.slug)
                    ? 'Owner'
                    : (roles[organization.role] ?? organization.role)}
                  {organization.lacksSecondFactor && ' · asks for a second factor'}
                </span>
              </span>
              {!account.ownedOrganizations.includes(organization.slug) && (
                <button
                  type="button"
                  className="button small"
                  aria-label={`Leave ${organization.name}`}
                  onClick={() => setLeaving(organization)}
                >
                  Leave
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {account.mayCreateOrganizations && <NewOrganization />}
      {leaving !== null && (
        <Ask
          title={`Leave “${leaving.name}”?`}
          action="Leave the organization"
          dismissal="Stay"
          onClose={() => setLeaving(null)}
          onConfirmed={async () => {
            await accountApi.leaveOrganization(leaving.slug)
            await Promise.all([reload(), refresh()])
          }}
        >
          Your keys of it are revoked and their hosts disconnect. To come back you need another invitation.
        </Ask>
      )}
    </Section>
  )
}

function Invitations({ account, reload }: SectionProps) {
  const { refresh } = useLive()
  const submission = useSubmission()
  const answer = (work: () => Promise<unknown>) =>
    void submission.run(async () => {
      await work()
      await Promise.all([reload(), refresh()])
    })
  if (account.invitations.length === 0) return null
  return (
    <Part title="Invitations">
      <Problem text={submission.problem} />
      <ul className="grid gap-4">
        {account.invitations.map(({ id, inviter, organization }) => (
          <li key={id} className="flex flex-wrap items-center gap-x-4 gap-y-2">
            <span className="min-w-0 flex-1 basis-48">
              <span className="block font-medium">{organization.name}</span>
              {inviter !== null && <span className="block text-sm text-muted">from {inviter}</span>}
            </span>
            <span className="flex gap-3">
              <button
                type="button"
                className="button primary small"
                aria-label={`Join ${organization.name}`}
                disabled={submission.isBusy}
                onClick={() => answer(() => accountApi.acceptInvitation(id, null))}
              >
                Join
              </button>
              <button
                type="button"
                className="button small"
                aria-label={`Decline the invitation of ${organization.name}`}
                disabled={submission.isBusy}
                onClick={() => answer(() => accountApi.declineInvitation(id))}
              >
                Decline
              </button>
            </span>
          </li>
        ))}
      </ul>
    </Part>
  )
}

function NewOrganization() {
  const { refresh } = useLive()
  const go = useGo()
  const [name, setName] = useState('')
  const submission = useSubmission({ name: 'organizationName' })
  return (
    <Part title="New organization" text="It starts empty, and you own it.">
      <form
        className="grid items-end gap-4 sm:grid-cols-[minmax(0,24rem)_auto] sm:justify-start"
        onSubmit={submission.on(async () => {
          const slug = await accountApi.createOrganization(name)
          await refresh()
          go(listHref({ organization: slug, environment: consoleEnvironment }))
        })}
      >
        <Input
          name="organizationName"
          label="Name"
          autoComplete="organization"
          required
          maxLength={100}
          error={submission.errors.organizationName ?? submission.problem ?? undefined}
          value={name}
          onChange={event => setName(event.target.value)}
        />
        <SubmitButton isBusy={submission.isBusy}>Create</SubmitButton>
      </form>
    </Part>
  )
}
