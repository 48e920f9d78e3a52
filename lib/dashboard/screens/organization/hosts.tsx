/** Serverless hosts: addresses that are asked by HTTP when something is run. */
import { useMemo, useState } from 'react'
import { type HttpHost, OrganizationApi } from '../../api-organization.js'
import { Ask } from '../../components/ask.js'
import { FormDialog } from '../../components/form-dialog.js'
import { Input } from '../../components/input.js'
import { SecretOnce } from '../../components/secret.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { formatDateTime } from '../../format.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import type { SectionProps } from './sections.js'

const states = {
  ONLINE: { tone: 'success', words: 'Online' },
  OFFLINE: { tone: 'plain', words: 'Offline' },
  UNREACHABLE: { tone: 'warning', words: 'Cannot be reached' },
} as const

export default function HostsSection({ organization }: SectionProps) {
  const api = useMemo(() => new OrganizationApi(organization.slug), [organization.slug])
  const isManager = organization.permissions.includes('WRITE_ORG_SETTINGS')
  const hosts = useLoaded(useMemo(() => () => api.httpHosts(), [api]))
  const [isAdding, setAdding] = useState(false)
  const [made, setMade] = useState<{ url: string; secret: string } | null>(null)
  const [removing, setRemoving] = useState<HttpHost | null>(null)
  const [checking, setChecking] = useState<string | null>(null)
  const [done, setDone] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)

  const check = async ({ id, url }: HttpHost) => {
    setProblem(null)
    setDone(null)
    setChecking(id)
    try {
      const status = await api.checkHttpHost(id)
      await hosts.reload()
      setDone(status === 'ONLINE' ? `${url} answers.` : null)
      if (status !== 'ONLINE') setProblem(`${url} did not answer, or declared nothing.`)
    } catch (error) {
      setProblem(messageOf(error))
    } finally {
      setChecking(null)
    }
  }
  const addButton = (
    <button type="button" className="button primary" onClick={() => setAdding(true)}>
      Add host
    </button>
  )
  return (
    <Section
      title="Serverless hosts"
      text="Addresses that are asked by HTTP when something is run. They answer with what they serve, in production."
      actions={isManager && addButton}
      problem={problem ?? hosts.problem}
      done={done}
      isLoading={hosts.value === null}
    >
      {made !== null && (
        <SecretOnce text={made.secret} copyLabel="Copy the secret">
          {made.url} was added. What is sent there is signed with:
        </SecretOnce>
      )}
      {hosts.value?.length === 0 ? (
        <Empty title="There are no serverless hosts.">
          {isManager
            ? 'Add the address of a function that answers with the SDK’s HTTP handler.'
            : 'Administrators add them.'}
        </Empty>
      ) : (
        <ul className="card divide-y divide-line" aria-label="Serverless hosts">
          {hosts.value?.map(host => (
            <li key={host.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
              <div className="min-w-0 flex-1 basis-60">
                <p className="font-medium [overflow-wrap:anywhere]">{host.url}</p>
                <p className="text-sm text-muted">
                  {host.lastConnectedAt === null
                    ? 'Never answered'
                    : `Answered ${formatDateTime(new Date(host.lastConnectedAt))}`}
                  {host.sdkName !== null && ` · ${host.sdkName} ${host.sdkVersion ?? ''}`}
                </p>
              </div>
              <Badge tone={states[host.status].tone}>{states[host.status].words}</Badge>
              <div className="flex gap-2">
                <button
                  type="button"
                  className="button small"
                  aria-label={checking === host.id ? undefined : `Check now: ${host.url}`}
                  disabled={checking !== null}
                  onClick={() => void check(host)}
                >
                  {checking === host.id ? 'Checking …' : 'Check now'}
                </button>
                {isManager && (
                  <button
                    type="button"
                    className="button small"
                    aria-label={`Remove ${host.url}`}
                    onClick={() => setRemoving(host)}
                  >
                    Remove
                  </button>
                )}
              </div>
            </li>
          ))}
        </ul>
      )}
      {isAdding && (
        <AddHost
          api={api}
          onClose={() => setAdding(false)}
          onAdded={async added => {
            await hosts.reload()
            setMade(added)
          }}
        />
      )}
      {removing !== null && (
        <Ask
          title="Remove this host?"
          action="Remove the host"
          onClose={() => setRemoving(null)}
          onConfirmed={async () => {
            await api.removeHttpHost(removing.id)
            await hosts.reload()
            setDone(`${removing.url} was removed.`)
          }}
        >
          <span className="[overflow-wrap:anywhere]">{removing.url}</span> is not asked any more. What nobody
          else serves cannot be run then.
        </Ask>
      )}
    </Section>
  )
}

function AddHost({
  api,
  onClose,
  onAdded,
}: {
  api: OrganizationApi
  onClose: () => void
  onAdded: (added: { url: string; secret: string }) => Promise<void>
}) {
  const [url, setUrl] = useState('')
  return (
    <FormDialog
      title="A new serverless host"
      submit="Add host"
      onClose={onClose}
      onSubmit={async () => {
        const { secret } = await api.addHttpHost(url.trim())
        await onAdded({ url: url.trim(), secret })
      }}
    >
      {errors => (
        <Input
          name="url"
          type="url"
          label="Address"
          hint="https://…, reachable from this server."
          required
          maxLength={2_000}
          value={url}
          error={errors.url}
          onChange={event => setUrl(event.target.value)}
        />
      )}
    </FormDialog>
  )
}
