/** The directory of an organization: who is in it and in which teams, as a program of theirs says by SCIM. */
import { useState } from 'react'
import { type SignOnSettings, signOnApi } from '../../api-sign-on.js'
import { Ask } from '../../components/ask.js'
import { Problem } from '../../components/notice.js'
import { SecretOnce } from '../../components/secret.js'
import { Part } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { formatDateTime } from '../../format.js'
import { Copied, RoleSelect } from './sso-parts.js'

export function Directory({
  organization,
  directory,
  onChanged,
}: {
  organization: string
  directory: SignOnSettings['directory']
  onChanged: () => Promise<void>
}) {
  const [role, setRole] = useState(directory.role)
  const [token, setToken] = useState<string | null>(null)
  const [asked, setAsked] = useState<'token' | 'close' | null>(null)
  const opening = useSubmission()
  const open = async () => {
    setToken(await signOnApi.openDirectory(organization, role))
    await onChanged()
  }
  return (
    <Part
      title="Directory sync"
      text="Your provider adds and removes people and teams by SCIM 2.0. Whoever is switched off there is out here at once."
    >
      {directory.kind === 'WORKOS' ? (
        <p>The directory of this organization is kept at WorkOS.</p>
      ) : (
        <>
          {directory.kind === 'SCIM' && <Copied label="Address of the directory" text={directory.url} />}
          {token !== null && (
            <SecretOnce text={token}>The token. Copy it now: it is not shown again.</SecretOnce>
          )}
          {directory.kind === 'SCIM' && (
            <p className="text-muted">
              {directory.users} {directory.users === 1 ? 'person' : 'people'}, {directory.groups}{' '}
              {directory.groups === 1 ? 'group' : 'groups'}
              {directory.tokenCreatedAtMs !== null &&
                ` · token made ${formatDateTime(new Date(directory.tokenCreatedAtMs))}`}
              {directory.lastUsedAtMs === null
                ? ' · never used'
                : ` · last used ${formatDateTime(new Date(directory.lastUsedAtMs))}`}
            </p>
          )}
          <Problem text={opening.problem} />
          <form
            className="grid items-end gap-3 sm:grid-cols-[minmax(0,16rem)_auto_auto] sm:justify-start"
            onSubmit={opening.on(async () => {
              if (directory.hasToken) setAsked('token')
              else await open()
            })}
          >
            <RoleSelect id="directory-role" label="Role of its people" value={role} onChange={setRole} />
            <SubmitButton tone="plain" isBusy={opening.isBusy}>
              {directory.hasToken ? 'New token' : 'Create a token'}
            </SubmitButton>
            {directory.kind === 'SCIM' && (
              <button type="button" className="button" onClick={() => setAsked('close')}>
                Close the directory
              </button>
            )}
          </form>
        </>
      )}
      {asked === 'token' && (
        <Ask
          title="Make a new token?"
          action="Make a new token"
          dismissal="Keep the present one"
          onClose={() => setAsked(null)}
          onConfirmed={open}
        >
          The present token ends at once: your provider is refused until it has the new one.
        </Ask>
      )}
      {asked === 'close' && (
        <Ask
          title="Close the directory?"
          action="Close the directory"
          onClose={() => setAsked(null)}
          onConfirmed={async () => {
            await signOnApi.closeDirectory(organization)
            setToken(null)
            await onChanged()
          }}
        >
          Its people stay members and its groups stay teams, kept by hand from now on. The token ends.
        </Ask>
      )}
    </Part>
  )
}
