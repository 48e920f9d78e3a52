/** API keys of an organization: make one (its text is shown once), list them, revoke one after asking. */
import { useCallback, useState } from 'react'
import type { ApiKey, KeyKind, Organization } from '../../api.js'
import { Ask } from '../../components/ask.js'
import { Select } from '../../components/choice.js'
import { Input } from '../../components/input.js'
import { Problem } from '../../components/notice.js'
import { SecretOnce, SecretRow } from '../../components/secret.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { formatDateTime } from '../../format.js'
import { useServices } from '../../services.js'
import { useLoaded } from '../../use-loaded.js'

export default function KeysScreen({ organization }: { organization: Organization }) {
  const { api } = useServices()
  const keys = useLoaded(useCallback(() => api.keys(organization.slug), [api, organization.slug]))
  const [made, setMade] = useState<string | null>(null)
  const [revoking, setRevoking] = useState<ApiKey | null>(null)
  const nameOf = (environment: string) =>
    organization.environments.find(({ slug }) => slug === environment)?.name ?? environment

  return (
    <Section
      title="Keys"
      text="A host connects with a key. Development keys reach your own console alone; a live key everybody in its environment."
      problem={keys.problem}
      isLoading={keys.value === null}
    >
      {organization.permissions.includes('CREATE_DEV_API_KEYS') && (
        <NewKey
          organization={organization}
          onMade={async text => {
            setMade(text)
            await keys.reload()
          }}
        />
      )}
      {made !== null && (
        <SecretOnce text={made}>Your new key. Copy it now: it is not shown again.</SecretOnce>
      )}
      {keys.value?.length === 0 ? (
        <Empty title="There are no keys yet.">Make one above, and give it to a host.</Empty>
      ) : (
        <ul className="card divide-y divide-line" aria-label="Keys">
          {keys.value?.map(key => (
            <SecretRow
              key={key.id}
              name={key.label}
              badge={
                <Badge tone={key.kind === 'DEVELOPMENT' ? 'plain' : 'accent'}>
                  {key.kind === 'DEVELOPMENT' ? 'Console' : nameOf(key.environment)}
                </Badge>
              }
              prefix={key.prefix}
              details={[
                key.email,
                key.createdAtMs !== null && `made ${formatDateTime(new Date(key.createdAtMs))}`,
                key.lastUsedAtMs === null
                  ? 'never used'
                  : `last used ${formatDateTime(new Date(key.lastUsedAtMs))}`,
              ]
                .filter(Boolean)
                .join(' · ')}
              onRevoke={() => setRevoking(key)}
            />
          ))}
        </ul>
      )}
      {revoking !== null && (
        <Ask
          title={`Revoke “${revoking.label || revoking.prefix}”?`}
          action="Revoke the key"
          onClose={() => setRevoking(null)}
          onConfirmed={async () => {
            await api.revokeKey(organization.slug, revoking.id)
            setMade(null)
            await keys.reload()
          }}
        >
          Hosts that use it are disconnected within seconds and cannot come back with it.
        </Ask>
      )}
    </Section>
  )
}

function NewKey({
  organization,
  onMade,
}: {
  organization: Organization
  onMade: (text: string) => Promise<void>
}) {
  const { api } = useServices()
  const [label, setLabel] = useState('')
  const [environment, setEnvironment] = useState('development')
  const submission = useSubmission()
  const live = organization.permissions.includes('CREATE_PROD_API_KEYS')
    ? organization.environments.filter(known => known.slug !== 'development')
    : []

  const create = async () => {
    const kind: KeyKind = environment === 'development' ? 'DEVELOPMENT' : 'PRODUCTION'
    const made = await api.createKey(organization.slug, { kind, environment, label: label.trim() })
    setLabel('')
    await onMade(made.key)
  }
  return (
    <form
      className="card grid items-end gap-4 p-4 sm:grid-cols-[minmax(0,1fr)_12rem_auto]"
      onSubmit={submission.on(create)}
    >
      <Input
        name="label"
        error={submission.errors.label}
        label="Label"
        required
        maxLength={100}
        value={label}
        onChange={event => setLabel(event.target.value)}
      />
      <Select
        id="key-environment"
        name="environment"
        label="For"
        value={environment}
        options={[
          { value: 'development', label: 'My console' },
          ...live.map(known => ({ value: known.slug, label: known.name })),
        ]}
        onChange={event => setEnvironment(event.target.value)}
      />
      <SubmitButton isBusy={submission.isBusy}>Create key</SubmitButton>
      <div className="empty:hidden sm:col-span-3">
        <Problem text={submission.problem} />
      </div>
    </form>
  )
}
