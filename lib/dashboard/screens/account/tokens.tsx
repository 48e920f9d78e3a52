/** Access tokens: make one (its text is shown once), list them, revoke one after asking. */
import { useState } from 'react'
import { type AccessToken, type TokenScope, tokensApi } from '../../api-tokens.js'
import { Ask } from '../../components/ask.js'
import { Select } from '../../components/choice.js'
import { Input } from '../../components/input.js'
import { Loading, Problem } from '../../components/notice.js'
import { SecretOnce, SecretRow } from '../../components/secret.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { formatDateTime } from '../../format.js'
import { useLoaded } from '../../use-loaded.js'

const lifetimes = [
  { days: 7, label: '7 days' },
  { days: 30, label: '30 days' },
  { days: 90, label: '90 days' },
  { days: 366, label: 'One year' },
]

const readTokens = () => tokensApi.tokens()

export default function TokensSection() {
  const tokens = useLoaded(readTokens)
  const [made, setMade] = useState<string | null>(null)
  const [revoking, setRevoking] = useState<AccessToken | null>(null)
  return (
    <Section title="Access tokens">
      <p className="text-muted">
        A script that sends one as <code className="font-mono">Authorization: Bearer pat_…</code> does in the
        API what you may do, and no more.{' '}
        <a className="link" href="/api/v1/openapi.json">
          What there is
        </a>
      </p>
      <NewToken
        onMade={async text => {
          setMade(text)
          await tokens.reload()
        }}
      />
      {made !== null && (
        <SecretOnce text={made}>Your new token. Copy it now: it is not shown again.</SecretOnce>
      )}
      <Problem text={tokens.problem} />
      {tokens.value === null && tokens.problem === null && <Loading />}
      {tokens.value?.length === 0 && (
        <Empty title="There are no tokens yet.">Make one above, and give it to a script.</Empty>
      )}
      {tokens.value !== null && tokens.value.length > 0 && (
        <ul className="card divide-y divide-line" aria-label="Access tokens">
          {tokens.value.map(token => (
            <SecretRow
              key={token.id}
              name={token.name}
              badge={
                <Badge tone={token.scope === 'read' ? 'plain' : 'accent'}>
                  {token.scope === 'read' ? 'Reads' : 'Reads and writes'}
                </Badge>
              }
              prefix={token.prefix}
              details={`ends ${formatDateTime(new Date(token.expiresAt))} · ${
                token.lastUsedAt === null
                  ? 'never used'
                  : `last used ${formatDateTime(new Date(token.lastUsedAt))}`
              }`}
              onRevoke={() => setRevoking(token)}
            />
          ))}
        </ul>
      )}
      {revoking !== null && (
        <Ask
          title={`Revoke “${revoking.name}”?`}
          action="Revoke the token"
          onClose={() => setRevoking(null)}
          onConfirmed={async () => {
            await tokensApi.revoke(revoking.id)
            setMade(null)
            await tokens.reload()
          }}
        >
          Scripts that use it are refused within seconds.
        </Ask>
      )}
    </Section>
  )
}

function NewToken({ onMade }: { onMade: (text: string) => Promise<void> }) {
  const [name, setName] = useState('')
  const [scope, setScope] = useState<TokenScope>('read')
  const [days, setDays] = useState(30)
  const submission = useSubmission({ name: 'token-name' })
  return (
    <form
      className="card grid items-end gap-4 p-4 sm:grid-cols-[minmax(0,1fr)_11rem_8rem_auto]"
      onSubmit={submission.on(async () => {
        const text = await tokensApi.create({ name: name.trim(), scope, days })
        setName('')
        await onMade(text)
      })}
    >
      <Input
        name="token-name"
        label="What it is for"
        required
        maxLength={100}
        error={submission.errors['token-name']}
        value={name}
        onChange={event => setName(event.target.value)}
      />
      <Select
        name="scope"
        label="May"
        value={scope}
        onChange={event => setScope(event.target.value === 'write' ? 'write' : 'read')}
        options={[
          { value: 'read', label: 'Read' },
          { value: 'write', label: 'Read and write' },
        ]}
      />
      <Select
        name="days"
        label="Ends after"
        value={String(days)}
        onChange={event => setDays(Number(event.target.value))}
        options={lifetimes.map(each => ({ value: String(each.days), label: each.label }))}
      />
      <SubmitButton isBusy={submission.isBusy}>Create token</SubmitButton>
      <div className="empty:hidden sm:col-span-4">
        <Problem text={submission.problem} />
      </div>
    </form>
  )
}
