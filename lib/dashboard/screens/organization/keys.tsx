/** API keys of an organization: make one (its text is shown once), list them, revoke one after asking. */
import { Dialog, DialogDismiss, DialogHeading } from '@ariakit/react'
import { type FormEvent, useCallback, useEffect, useState } from 'react'
import type { ApiKey, KeyKind, Organization } from '../../api.js'
import { CopyButton } from '../../components/copy-button.js'
import { Input } from '../../components/input.js'
import { Banner, Loading } from '../../components/notice.js'
import { formatDateTime } from '../../format.js'
import { useServices } from '../../services.js'

export default function KeysScreen({ organization }: { organization: Organization }) {
  const { api } = useServices()
  const [keys, setKeys] = useState<readonly ApiKey[] | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [made, setMade] = useState<string | null>(null)
  const [revoking, setRevoking] = useState<ApiKey | null>(null)

  const load = useCallback(async () => {
    try {
      setKeys(await api.keys(organization.slug))
      setProblem(null)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    }
  }, [api, organization.slug])
  useEffect(() => {
    void load()
  }, [load])

  const revoke = async () => {
    if (!revoking) return
    try {
      await api.revokeKey(organization.slug, revoking.id)
      await load()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    } finally {
      setRevoking(null)
    }
  }

  return (
    <main className="mx-auto grid w-full max-w-4xl content-start gap-8 px-4 py-8 sm:px-8">
      <header className="grid gap-1">
        <h2 className="text-2xl font-semibold tracking-tight">Keys</h2>
        <p className="text-muted">
          A host connects with a key. Development keys reach your own console alone.
        </p>
      </header>
      {problem !== null && (
        <Banner tone="danger" role="alert">
          {problem}
        </Banner>
      )}
      <NewKey
        organization={organization}
        onMade={async text => {
          setMade(text)
          await load()
        }}
      />
      {made !== null && (
        <Banner tone="success" role="status">
          <div className="grid gap-2 py-1">
            <p className="font-medium">Your new key. Copy it now: it is not shown again.</p>
            <div className="flex flex-wrap items-center gap-3">
              <code className="font-mono break-all text-ink">{made}</code>
              <CopyButton text={made} />
            </div>
          </div>
        </Banner>
      )}
      {keys === null && problem === null && <Loading />}
      {keys?.length === 0 && <p className="text-muted">There are no keys yet.</p>}
      {keys !== null && keys.length > 0 && (
        <ul className="card divide-y divide-line">
          {keys.map(key => (
            <li key={key.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-3">
              <span className="min-w-0 flex-1">
                <span className="block truncate font-medium">
                  {key.label === '' ? 'Without a label' : key.label}
                  {key.prefix !== '' && (
                    <code className="ml-2 font-mono text-sm font-normal text-muted">{key.prefix}…</code>
                  )}
                </span>
                <span className="block text-sm text-muted">
                  {key.kind === 'DEVELOPMENT' ? 'Development' : `Live, ${key.environment}`}
                  {key.createdAtMs !== null && ` · made ${formatDateTime(new Date(key.createdAtMs))}`}
                  {key.lastUsedAtMs !== null && ` · last used ${formatDateTime(new Date(key.lastUsedAtMs))}`}
                </span>
              </span>
              <button type="button" className="button small" onClick={() => setRevoking(key)}>
                Revoke
              </button>
            </li>
          ))}
        </ul>
      )}
      <Dialog
        open={revoking !== null}
        onClose={() => setRevoking(null)}
        unmountOnHide
        backdrop={<div className="bg-black/40" />}
        className="card fixed inset-4 z-50 m-auto grid h-fit max-w-md gap-4 p-6 shadow-xl"
      >
        <DialogHeading className="text-lg font-semibold">
          Revoke “{revoking?.label || revoking?.prefix}”?
        </DialogHeading>
        <p className="text-muted">
          Hosts that use it are disconnected within seconds and cannot come back with it.
        </p>
        <div className="flex justify-end gap-3">
          <DialogDismiss className="button">Keep it</DialogDismiss>
          <button type="button" className="button danger bg-red-500" onClick={revoke}>
            Revoke the key
          </button>
        </div>
      </Dialog>
    </main>
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
  const [problem, setProblem] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const others = organization.environments.filter(known => known.slug !== 'development')
  const live = others.some(known => known.slug === 'production')
    ? others
    : [{ slug: 'production', name: 'Production', color: null }, ...others]

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    try {
      const kind: KeyKind = environment === 'development' ? 'DEVELOPMENT' : 'PRODUCTION'
      const made = await api.createKey(organization.slug, { kind, environment, label: label.trim() })
      setLabel('')
      await onMade(made.key)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    } finally {
      setBusy(false)
    }
  }
  return (
    <form className="card grid items-end gap-4 p-4 sm:grid-cols-[minmax(0,1fr)_12rem_auto]" onSubmit={submit}>
      <Input
        name="label"
        label="Label"
        required
        maxLength={100}
        value={label}
        onChange={event => setLabel(event.target.value)}
      />
      <div className="grid gap-1.5">
        <label htmlFor="key-environment" className="text-sm font-medium">
          For
        </label>
        <select
          id="key-environment"
          className="control"
          value={environment}
          onChange={event => setEnvironment(event.target.value)}
        >
          <option value="development">My console</option>
          {live.map(known => (
            <option key={known.slug} value={known.slug}>
              {known.name}
            </option>
          ))}
        </select>
      </div>
      <button type="submit" className="button primary" disabled={isBusy}>
        Create key
      </button>
      {problem !== null && <p className="text-sm text-danger sm:col-span-3">{problem}</p>}
    </form>
  )
}
