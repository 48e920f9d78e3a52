/**
 * Where an organization runs its actions: production and the consoles, which every organization has, and others beside
 * them, each with its own actions, keys and access.
 */
import { useMemo, useState } from 'react'
import type { Environment } from '../../api.js'
import { OrganizationApi } from '../../api-organization.js'
import { AppLink } from '../../components/app-link.js'
import { Ask } from '../../components/ask.js'
import { Dot, dotColors } from '../../components/dot.js'
import { FormDialog } from '../../components/form-dialog.js'
import { Input } from '../../components/input.js'
import { Badge, Section } from '../../components/section.js'
import { listHref } from '../../links.js'
import { useLive } from '../../services.js'
import { useLoaded } from '../../use-loaded.js'
import type { SectionProps } from './sections.js'

const builtIn = new Set(['production', 'development'])

type Open = { kind: 'add' } | { kind: 'edit' | 'delete'; environment: Environment } | null

export default function EnvironmentsSection({ organization }: SectionProps) {
  const { refresh } = useLive()
  const api = useMemo(() => new OrganizationApi(organization.slug), [organization.slug])
  const isManager = organization.permissions.includes('WRITE_ORG_ENVIRONMENTS')
  const environments = useLoaded(useMemo(() => () => api.environments(), [api]))
  const [open, setOpen] = useState<Open>(null)
  const [done, setDone] = useState<string | null>(null)
  /** Menus list environments too. */
  const changed = async (words: string) => {
    await environments.reload()
    await refresh()
    setDone(words)
  }
  return (
    <Section
      title="Environments"
      text="Each has its own actions, keys and access. A host belongs to the environment of its key."
      actions={
        isManager && (
          <button type="button" className="button primary" onClick={() => setOpen({ kind: 'add' })}>
            Add environment
          </button>
        )
      }
      problem={environments.problem}
      done={done}
      isLoading={environments.value === null}
    >
      <ul className="card divide-y divide-line" aria-label="Environments">
        {environments.value?.map(environment => (
          <li key={environment.slug} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
            <Dot color={environment.color} />
            <div className="min-w-0 flex-1">
              <p className="flex flex-wrap items-center gap-2 font-medium">
                <AppLink
                  className="min-w-0 break-words hover:underline"
                  href={listHref({ organization: organization.slug, environment: environment.slug })}
                >
                  {environment.name}
                </AppLink>
                {builtIn.has(environment.slug) && <Badge>Built in</Badge>}
              </p>
              <code className="block truncate font-mono text-sm text-muted">{environment.slug}</code>
            </div>
            {isManager && !builtIn.has(environment.slug) && (
              <div className="flex gap-2">
                <button
                  type="button"
                  className="button small"
                  aria-label={`Edit ${environment.name}`}
                  onClick={() => setOpen({ kind: 'edit', environment })}
                >
                  Edit
                </button>
                <button
                  type="button"
                  className="button small"
                  aria-label={`Delete ${environment.name}`}
                  onClick={() => setOpen({ kind: 'delete', environment })}
                >
                  Delete
                </button>
              </div>
            )}
          </li>
        ))}
      </ul>
      {open !== null && open.kind !== 'delete' && (
        <EnvironmentForm
          api={api}
          environment={open.kind === 'edit' ? open.environment : null}
          onClose={() => setOpen(null)}
          onChanged={changed}
        />
      )}
      {open?.kind === 'delete' && (
        <Ask
          title={`Delete ${open.environment.name}?`}
          action="Delete the environment"
          onClose={() => setOpen(null)}
          onConfirmed={async () => {
            await api.deleteEnvironment(open.environment.slug)
            await changed(`${open.environment.name} was deleted.`)
          }}
        >
          Its keys end, so its hosts are disconnected. Its schedules stop and its queue is emptied. Nobody
          sees its history any more.
        </Ask>
      )}
    </Section>
  )
}

function EnvironmentForm({
  api,
  environment,
  onClose,
  onChanged,
}: {
  api: OrganizationApi
  /** Null for a new one. */
  environment: Environment | null
  onClose: () => void
  onChanged: (words: string) => Promise<void>
}) {
  const [name, setName] = useState(environment?.name ?? '')
  const [slug, setSlug] = useState('')
  const [color, setColor] = useState(environment?.color ?? null)
  return (
    <FormDialog
      title={environment === null ? 'A new environment' : `Edit ${environment.name}`}
      submit={environment === null ? 'Add environment' : 'Save'}
      onClose={onClose}
      onSubmit={async () => {
        if (environment === null)
          await api.addEnvironment({ name, color, ...(slug.trim() !== '' && { slug: slug.trim() }) })
        else await api.changeEnvironment(environment.slug, { name, color })
        await onChanged(environment === null ? `${name.trim()} was added.` : `${name.trim()} was changed.`)
      }}
    >
      {errors => (
        <>
          <Input
            name="name"
            label="Name"
            required
            maxLength={100}
            value={name}
            error={errors.name}
            onChange={event => setName(event.target.value)}
          />
          {environment === null && (
            <Input
              name="slug"
              label="Slug"
              hint="In its address. Empty: made from the name. It stays as it is."
              maxLength={64}
              value={slug}
              error={errors.slug}
              onChange={event => setSlug(event.target.value)}
            />
          )}
          <fieldset>
            <legend className="mb-1.5 text-sm font-medium">Color</legend>
            <div className="flex flex-wrap gap-2">
              {[null, ...dotColors].map(choice => (
                <label
                  key={choice}
                  className="flex cursor-pointer items-center gap-2 rounded-control border border-line px-2.5 py-1.5 has-checked:border-accent has-checked:bg-accent-soft"
                >
                  <input
                    type="radio"
                    name="color"
                    className="accent-accent"
                    checked={color === choice}
                    onChange={() => setColor(choice)}
                  />
                  <Dot color={choice} />
                  <span className="text-sm">{choice ?? 'none'}</span>
                </label>
              ))}
            </div>
          </fieldset>
        </>
      )}
    </FormDialog>
  )
}
