/**
 * The organization itself: its name and address, what it asks of its members, who owns it, and its end. What one may not
 * change is shown all the same.
 */
import { type FormEvent, useCallback, useEffect, useMemo, useState } from 'react'
import { type Member, OrganizationApi, type OrganizationSettings } from '../../api-organization.js'
import { useGo } from '../../components/app-link.js'
import { Tick } from '../../components/choice.js'
import { type FieldErrors, FormDialog } from '../../components/form-dialog.js'
import { Input } from '../../components/input.js'
import { Problem } from '../../components/notice.js'
import { Section } from '../../components/section.js'
import { RequestError } from '../../connection.js'
import { organizationHref } from '../../links.js'
import { useLive } from '../../services.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import { memberName } from './roles.js'
import type { SectionProps } from './sections.js'

const typingMs = 300

export default function SettingsSection({ organization }: SectionProps) {
  const api = useMemo(() => new OrganizationApi(organization.slug), [organization.slug])
  const settings = useLoaded(useCallback(() => api.settings(), [api]))
  const mayChange = organization.permissions.includes('WRITE_ORG_SETTINGS')
  const [done, setDone] = useState<string | null>(null)
  const known = settings.value
  return (
    <Section
      title="Settings"
      problem={settings.problem}
      done={done}
      isLoading={known === null}
      {...(!mayChange && { text: 'Administrators change these.' })}
    >
      {known && (
        <>
          <General
            key={`${known.name} ${known.slug}`}
            api={api}
            known={known}
            mayChange={mayChange}
            onDone={setDone}
          />
          <SecondFactor
            api={api}
            known={known}
            mayChange={mayChange}
            reload={settings.reload}
            onDone={setDone}
          />
          <Ownership
            api={api}
            known={known}
            mayChange={mayChange}
            reload={settings.reload}
            onDone={setDone}
          />
          {known.isOwner && <Deletion api={api} known={known} />}
        </>
      )}
    </Section>
  )
}

interface PartProps {
  api: OrganizationApi
  known: OrganizationSettings
  mayChange: boolean
  onDone: (words: string) => void
}

function General({ api, known, mayChange, onDone }: PartProps) {
  const { refresh } = useLive()
  const go = useGo()
  const [name, setName] = useState(known.name)
  const [slug, setSlug] = useState(known.slug)
  const [errors, setErrors] = useState<FieldErrors>({})
  const [isBusy, setBusy] = useState(false)
  const slugState = useSlugState(api, slug, known.slug)

  const save = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setErrors({})
    try {
      await api.changeSettings({
        ...(name.trim() !== known.name && { name }),
        ...(slug !== known.slug && { slug }),
      })
      onDone('Saved.')
      // First the session knows the new address, then the address is gone to.
      await refresh()
      if (slug !== known.slug) go(organizationHref({ organization: slug }, 'settings'), { replace: true })
    } catch (error) {
      const fields = error instanceof RequestError ? error.fields : {}
      setErrors(Object.keys(fields).length > 0 ? fields : { name: messageOf(error) })
    } finally {
      setBusy(false)
    }
  }
  const isChanged = name.trim() !== known.name || slug !== known.slug
  return (
    <form className="card grid gap-4 p-5" onSubmit={save}>
      <Input
        name="name"
        label="Name"
        required
        maxLength={100}
        disabled={!mayChange}
        value={name}
        error={errors.name}
        onChange={event => setName(event.target.value)}
      />
      <Input
        name="slug"
        label="Address"
        hint={
          slugState === 'free'
            ? 'This one is free. Links to the old address will lead nowhere.'
            : `${window.location.host}/dashboard/${slug || '…'}`
        }
        required
        maxLength={64}
        pattern="[A-Za-z0-9][A-Za-z0-9_\-]*"
        title="Letters, digits, hyphens and underscores"
        disabled={!mayChange}
        value={slug}
        error={errors.slug ?? (slugState === 'taken' ? 'Another organization has this address.' : undefined)}
        onChange={event => setSlug(event.target.value)}
      />
      {mayChange && (
        <button
          type="submit"
          className="button primary justify-self-start"
          disabled={isBusy || !isChanged || slugState === 'taken'}
        >
          Save
        </button>
      )}
    </form>
  )
}

/** Whether another address may be had, asked once typing is over. */
function useSlugState(api: OrganizationApi, slug: string, own: string): 'own' | 'unknown' | 'free' | 'taken' {
  const [state, setState] = useState<'unknown' | 'free' | 'taken'>('unknown')
  useEffect(() => {
    setState('unknown')
    if (slug === own || slug === '') return
    let isOver = false
    const timer = setTimeout(() => {
      api.isSlugFree(slug).then(
        isFree => !isOver && setState(isFree ? 'free' : 'taken'),
        () => undefined,
      )
    }, typingMs)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [api, slug, own])
  return slug === own ? 'own' : state
}

function SecondFactor({
  api,
  known,
  mayChange,
  reload,
  onDone,
}: PartProps & { reload: () => Promise<void> }) {
  const [problem, setProblem] = useState<string | null>(null)
  const change = async (requireSecondFactor: boolean) => {
    setProblem(null)
    try {
      await api.changeSettings({ requireSecondFactor })
      await reload()
      onDone(
        requireSecondFactor
          ? 'Members need a second factor now.'
          : 'A second factor is up to each member now.',
      )
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  return (
    <section className="card grid gap-3 p-5" aria-labelledby="sign-in">
      <h3 id="sign-in" className="text-lg font-semibold">
        Signing in
      </h3>
      <Tick
        id="require-second-factor"
        label="Members need a second factor"
        hint="Who has none is asked to set one up before anything else here."
        checked={known.requireSecondFactor}
        disabled={!mayChange}
        onChange={change}
      />
      <Problem text={problem} />
    </section>
  )
}

function Ownership({ api, known, mayChange, reload, onDone }: PartProps & { reload: () => Promise<void> }) {
  const [isOpen, setOpen] = useState(false)
  const mayGive = known.isOwner || (known.owner === null && mayChange)
  return (
    <section className="card flex flex-wrap items-center justify-between gap-4 p-5" aria-labelledby="owner">
      <div className="min-w-0 flex-1 basis-60">
        <h3 id="owner" className="text-lg font-semibold">
          Owner
        </h3>
        <p className="break-words text-muted">
          {known.owner === null ? 'Nobody owns this organization.' : known.owner.email}
        </p>
      </div>
      {mayGive && (
        <button type="button" className="button" onClick={() => setOpen(true)}>
          Give it to somebody else
        </button>
      )}
      {isOpen && (
        <GiveAway
          api={api}
          owner={known.owner?.id ?? null}
          onClose={() => setOpen(false)}
          onGiven={async email => {
            await reload()
            onDone(`${email} owns the organization now.`)
          }}
        />
      )}
    </section>
  )
}

function GiveAway({
  api,
  owner,
  onClose,
  onGiven,
}: {
  api: OrganizationApi
  owner: string | null
  onClose: () => void
  onGiven: (email: string) => Promise<void>
}) {
  const [search, setSearch] = useState('')
  const [chosen, setChosen] = useState<Member | null>(null)
  const found = useLoaded(
    useCallback(async () => {
      const { rows } = await api.members(search, null)
      return rows.filter(member => member.id !== owner).slice(0, 10)
    }, [api, search, owner]),
  )
  return (
    <FormDialog
      title="Give the organization away"
      submit={chosen === null ? 'Give it away' : `Give it to ${memberName(chosen)}`}
      onClose={onClose}
      onSubmit={async () => {
        if (chosen === null) throw new Error('Choose a member.')
        await api.transferOwnership(chosen.id)
        await onGiven(chosen.email)
      }}
    >
      {() => (
        <>
          <p className="text-muted">
            Whoever owns it administers it, and only they can delete it. You stay a member.
          </p>
          <Input
            name="search"
            type="search"
            label="Member"
            placeholder="Part of a name or address"
            autoComplete="off"
            value={search}
            onChange={event => setSearch(event.target.value)}
          />
          <fieldset className="grid gap-1">
            <legend className="sr-only">New owner</legend>
            {found.value?.length === 0 && <p className="text-sm text-muted">Nobody else matches.</p>}
            {found.value?.map(member => (
              <label
                key={member.id}
                className="flex cursor-pointer items-center gap-3 rounded-control border border-line px-3 py-2 has-checked:border-accent has-checked:bg-accent-soft"
              >
                <input
                  type="radio"
                  name="member"
                  className="accent-accent"
                  checked={chosen?.id === member.id}
                  onChange={() => setChosen(member)}
                />
                <span className="min-w-0">
                  <span className="block break-words">{memberName(member)}</span>
                  <span className="block text-sm [overflow-wrap:anywhere] text-muted">{member.email}</span>
                </span>
              </label>
            ))}
          </fieldset>
        </>
      )}
    </FormDialog>
  )
}

function Deletion({ api, known }: Pick<PartProps, 'api' | 'known'>) {
  const [isOpen, setOpen] = useState(false)
  const [typed, setTyped] = useState('')
  return (
    <section
      className="card flex flex-wrap items-center justify-between gap-4 border-danger/40 p-5"
      aria-labelledby="deletion"
    >
      <div className="min-w-0 flex-1 basis-60">
        <h3 id="deletion" className="text-lg font-semibold">
          Delete the organization
        </h3>
        <p className="text-muted">Keys, schedules and invitations end. Nobody sees it any more.</p>
      </div>
      <button type="button" className="button" onClick={() => setOpen(true)}>
        Delete …
      </button>
      {isOpen && (
        <FormDialog
          title={`Delete ${known.name}?`}
          submit="Delete the organization"
          isDangerous
          onClose={() => setOpen(false)}
          onSubmit={async () => {
            await api.deleteOrganization(typed)
            // Everything on screen was about what is gone.
            window.location.assign('/')
          }}
        >
          {errors => (
            <>
              <p className="text-muted">
                Hosts are disconnected, nobody gets in any more. Only whoever runs this server can bring it
                back.
              </p>
              <Input
                id="repeated-slug"
                name="slug"
                label={`Type ${known.slug} to go on`}
                autoComplete="off"
                required
                value={typed}
                error={errors.slug}
                onChange={event => setTyped(event.target.value)}
              />
            </>
          )}
        </FormDialog>
      )}
    </section>
  )
}
