/** The e-mail domains of an organization: claimed, then proven by a record that only who has the domain can set. */
import { useState } from 'react'
import { type EmailDomain, signOnApi } from '../../api-sign-on.js'
import { Ask } from '../../components/ask.js'
import { Input } from '../../components/input.js'
import { Banner } from '../../components/notice.js'
import { Badge, Part } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { Copied } from './sso-parts.js'

export function Domains({
  organization,
  domains,
  onChanged,
}: {
  organization: string
  domains: readonly EmailDomain[]
  onChanged: () => Promise<void>
}) {
  const [domain, setDomain] = useState('')
  const adding = useSubmission()
  const [removing, setRemoving] = useState<EmailDomain | null>(null)
  return (
    <Part
      title="Email domains"
      text="Your provider and your directory speak for addresses of these domains, and for no others. A domain counts once you have proven that it is yours."
    >
      {domains.length > 0 && (
        <ul className="divide-y divide-line rounded-control border border-line">
          {domains.map(known => (
            <Domain
              key={known.id}
              organization={organization}
              domain={known}
              onChanged={onChanged}
              onRemove={() => setRemoving(known)}
            />
          ))}
        </ul>
      )}
      <form
        className="grid items-end gap-3 sm:grid-cols-[minmax(0,1fr)_auto]"
        onSubmit={adding.on(async () => {
          await signOnApi.addDomain(organization, domain.trim())
          setDomain('')
          await onChanged()
        })}
      >
        <Input
          name="domain"
          label="Add a domain"
          placeholder="example.com"
          required
          maxLength={253}
          value={domain}
          error={adding.errors.domain ?? adding.problem ?? undefined}
          onChange={event => setDomain(event.target.value)}
        />
        <SubmitButton tone="plain" isBusy={adding.isBusy}>
          Add domain
        </SubmitButton>
      </form>
      {removing !== null && (
        <Ask
          title={`Remove ${removing.domain}?`}
          action="Remove the domain"
          onClose={() => setRemoving(null)}
          onConfirmed={async () => {
            await signOnApi.removeDomain(organization, removing.id)
            await onChanged()
          }}
        >
          People with addresses of this domain cannot sign in through your provider any more.
        </Ask>
      )}
    </Part>
  )
}

function Domain({
  organization,
  domain,
  onChanged,
  onRemove,
}: {
  organization: string
  domain: EmailDomain
  onChanged: () => Promise<void>
  onRemove: () => void
}) {
  const checking = useSubmission()
  const check = () =>
    checking.run(async () => {
      await signOnApi.checkDomain(organization, domain.id)
      await onChanged()
    })
  return (
    <li className="grid gap-3 px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <span className="min-w-0 flex-1 truncate font-medium">{domain.domain}</span>
        <Badge tone={domain.isVerified ? 'success' : 'warning'}>
          {domain.isVerified ? 'Proven' : 'Not proven yet'}
        </Badge>
        <button type="button" className="button small" onClick={onRemove}>
          Remove
          <span className="sr-only"> {domain.domain}</span>
        </button>
      </div>
      {!domain.isVerified && (
        <div className="grid gap-3">
          <Copied label={`Add this TXT record at ${domain.domain}`} text={domain.record} />
          <div>
            <button type="button" className="button small" disabled={checking.isBusy} onClick={check}>
              {checking.isBusy && <span className="spinner" />}
              Check the record
              <span className="sr-only"> of {domain.domain}</span>
            </button>
          </div>
          {checking.problem !== null && (
            <Banner tone="warning" role="status">
              {checking.problem}
            </Banner>
          )}
        </div>
      )}
    </li>
  )
}
