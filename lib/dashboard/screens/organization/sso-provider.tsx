/** The provider of an organization, whom it lets in as what, and whether passwords are closed. */
import { useState } from 'react'
import { type SignOnGroup, type SignOnSettings, signOnApi, type WantedSignOn } from '../../api-sign-on.js'
import { Ask } from '../../components/ask.js'
import { Input } from '../../components/input.js'
import { Banner, Problem } from '../../components/notice.js'
import { Part } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { Copied, RoleSelect } from './sso-parts.js'

const googleIssuer = 'https://accounts.google.com'
/** The server's names of fields → ours. */
const fieldNames = { 'provider.issuer': 'issuer', 'provider.clientId': 'clientId', isRequired: 'required' }

export function Provider({
  organization,
  settings,
  onChanged,
}: {
  organization: string
  settings: SignOnSettings
  onChanged: () => Promise<void>
}) {
  const { provider } = settings
  const [issuer, setIssuer] = useState(provider?.issuer ?? '')
  const [clientId, setClientId] = useState(provider?.clientId ?? '')
  const [clientSecret, setClientSecret] = useState('')
  const [role, setRole] = useState(settings.role)
  const [groupClaim, setGroupClaim] = useState(settings.groupClaim)
  const [groups, setGroups] = useState<readonly SignOnGroup[]>(settings.groups)
  const [isRequired, setRequired] = useState(settings.isRequired)
  const [isSaved, setSaved] = useState(false)
  const [asked, setAsked] = useState<'require' | 'remove' | null>(null)
  const saving = useSubmission(fieldNames)
  const isKept =
    provider !== null && provider.issuer === issuer.trim() && provider.clientId === clientId.trim()

  const wanted = (): WantedSignOn => ({
    provider:
      issuer.trim() === '' && settings.hasWorkOs
        ? null
        : { issuer: issuer.trim(), clientId: clientId.trim(), clientSecret: clientSecret.trim() },
    role,
    groupClaim: groupClaim.trim() || 'groups',
    groups: groups.filter(({ value, teamId }) => value.trim() !== '' && teamId !== ''),
    isRequired,
  })
  const save = async () => {
    await signOnApi.save(organization, wanted())
    setClientSecret('')
    setSaved(true)
    await onChanged()
  }
  const changed =
    <Value,>(set: (value: Value) => void) =>
    (value: Value) => {
      setSaved(false)
      set(value)
    }

  return (
    <Part
      title="Identity provider"
      text="Any provider of OpenID Connect: Okta, Entra ID, Google Workspace, Keycloak and others. Register Interval there as a web application."
    >
      {settings.hasWorkOs && provider === null && (
        <Banner tone="plain">
          This organization signs in through WorkOS. A provider entered here takes its place.
        </Banner>
      )}
      <Copied label="Redirect address, to be registered at the provider" text={settings.redirectUri} />
      <form
        className="grid gap-5"
        onSubmit={saving.on(async () => {
          if (isRequired && !settings.isRequired) setAsked('require')
          else await save()
        })}
      >
        <Problem text={saving.problem} />
        <div className="grid gap-2">
          <Input
            name="issuer"
            label="Issuer"
            type="url"
            placeholder="https://login.example.com"
            hint="Its settings are read from this address when you save."
            required={!settings.hasWorkOs}
            value={issuer}
            error={saving.errors.issuer}
            onChange={event => changed(setIssuer)(event.target.value)}
          />
          {issuer !== googleIssuer && (
            <div>
              <button type="button" className="button small" onClick={() => changed(setIssuer)(googleIssuer)}>
                Use Google Workspace
              </button>
            </div>
          )}
        </div>
        <div className="grid items-start gap-5 sm:grid-cols-2">
          <Input
            name="clientId"
            label="Client ID"
            autoComplete="off"
            required={!settings.hasWorkOs}
            value={clientId}
            error={saving.errors.clientId}
            onChange={event => changed(setClientId)(event.target.value)}
          />
          <Input
            name="clientSecret"
            label="Client secret"
            type="password"
            autoComplete="off"
            required={!isKept && !settings.hasWorkOs}
            hint={
              isKept ? 'Stored. Leave it empty to keep it.' : 'It is stored encrypted and not shown again.'
            }
            value={clientSecret}
            error={saving.errors.clientSecret}
            onChange={event => changed(setClientSecret)(event.target.value)}
          />
          <RoleSelect id="sso-role" label="Role of new members" value={role} onChange={changed(setRole)} />
          <Input
            name="groupClaim"
            label="Claim that lists groups"
            required
            value={groupClaim}
            error={saving.errors.groupClaim}
            onChange={event => changed(setGroupClaim)(event.target.value)}
          />
        </div>
        <Groups groups={groups} teams={settings.teams} onChange={changed(setGroups)} />
        <div className="grid gap-1">
          <label htmlFor="input-required" className="flex items-start gap-3">
            <input
              id="input-required"
              type="checkbox"
              className="tick mt-0.5"
              checked={isRequired}
              aria-describedby={saving.errors.required ? 'input-required-error' : undefined}
              onChange={event => changed(setRequired)(event.target.checked)}
            />
            <span className="grid">
              <span className="font-medium">Only single sign-on</span>
              <span className="text-sm text-muted">
                People with addresses of your domains cannot sign in with a password. The owner can, in case
                the provider fails.
              </span>
            </span>
          </label>
          {saving.errors.required !== undefined && (
            <p id="input-required-error" className="text-sm text-danger">
              {saving.errors.required}
            </p>
          )}
        </div>
        <div className="flex flex-wrap items-center gap-3">
          <SubmitButton isBusy={saving.isBusy}>Save</SubmitButton>
          {provider !== null && (
            <button type="button" className="button" onClick={() => setAsked('remove')}>
              Remove the provider
            </button>
          )}
          <span role="status" className="text-sm text-success">
            {isSaved && 'Saved.'}
          </span>
        </div>
      </form>
      {asked === 'require' && (
        <Ask
          title="Close passwords?"
          action="Close passwords"
          dismissal="Keep them open"
          onClose={() => setAsked(null)}
          onConfirmed={save}
        >
          People of your domains who signed in with a password are signed out at once, except for the owner.
          Make sure that signing in through the provider works before you do this.
        </Ask>
      )}
      {asked === 'remove' && (
        <Ask
          title="Remove the provider?"
          action="Remove the provider"
          onClose={() => setAsked(null)}
          onConfirmed={async () => {
            await signOnApi.save(organization, { ...wanted(), provider: null, isRequired: false })
            setIssuer('')
            setClientId('')
            setRequired(false)
            await onChanged()
          }}
        >
          Nobody signs in through it any more. People without a password have to choose one with a link by
          mail.
        </Ask>
      )}
    </Part>
  )
}

function Groups({
  groups,
  teams,
  onChange,
}: {
  groups: readonly SignOnGroup[]
  teams: SignOnSettings['teams']
  onChange: (groups: readonly SignOnGroup[]) => void
}) {
  const set = (at: number, change: Partial<SignOnGroup>) =>
    onChange(groups.map((group, index) => (index === at ? { ...group, ...change } : group)))
  const [first] = teams
  return (
    <fieldset className="grid gap-3">
      <legend className="mb-1 text-sm font-medium">Groups and teams</legend>
      <p className="text-sm text-muted">
        {teams.length === 0
          ? 'There are no teams yet. Once there are, groups of the provider can lead to them.'
          : 'Whoever is in a group is put into the team at each sign-in, and taken out when they have left the group.'}
      </p>
      {groups.map((group, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows have nothing else that stays while they are typed in
        <div key={at} className="grid gap-2 sm:grid-cols-[minmax(0,1fr)_minmax(0,1fr)_auto]">
          <input
            className="control"
            aria-label={`Group ${at + 1}`}
            placeholder="Group at the provider"
            maxLength={300}
            value={group.value}
            onChange={event => set(at, { value: event.target.value })}
          />
          <select
            className="control"
            aria-label={`Team of group ${at + 1}`}
            value={group.teamId}
            onChange={event => set(at, { teamId: event.target.value })}
          >
            {teams.map(team => (
              <option key={team.id} value={team.id}>
                {team.name}
              </option>
            ))}
          </select>
          <button
            type="button"
            className="button"
            aria-label={`Remove group ${at + 1}`}
            onClick={() => onChange(groups.filter((_, index) => index !== at))}
          >
            Remove
          </button>
        </div>
      ))}
      {first !== undefined && (
        <div>
          <button
            type="button"
            className="button small"
            onClick={() => onChange([...groups, { value: '', teamId: first.id }])}
          >
            Add a group
          </button>
        </div>
      )}
    </fieldset>
  )
}
