/**
 * The actions and pages of an environment: who may run them, what they are called, whether they are still offered. What
 * the code of a host says about access stands and is only shown.
 */
import { useCallback, useMemo, useState } from 'react'
import { type ActionSettings, OrganizationApi, type PageSettings, type Team } from '../../api-organization.js'
import { AppLink, useGo } from '../../components/app-link.js'
import { Ask } from '../../components/ask.js'
import { Select, Tick } from '../../components/choice.js'
import { Icon } from '../../components/icon.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { consoleEnvironment, organizationHref } from '../../links.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import { levelLabels, type Thing } from './access-levels.js'
import { AccessForm, ActionForm } from './action-forms.js'
import type { SectionProps } from './sections.js'

type Open = { kind: 'access'; thing: Thing } | { kind: 'settings' | 'archive'; thing: ActionSettings } | null

/** More are found by searching: a screen of thousands helps nobody. */
const shownMax = 300

export default function ActionsSection({ organization, rest }: SectionProps) {
  const go = useGo()
  const api = useMemo(() => new OrganizationApi(organization.slug), [organization.slug])
  const environments = organization.environments.filter(({ slug }) => slug !== consoleEnvironment)
  const environment = rest[0] ?? 'production'
  const isKnown = environments.some(({ slug }) => slug === environment)
  const settings = useLoaded(useCallback(() => api.actionSettings(environment), [api, environment]))
  const teams = useLoaded(useCallback(() => api.teams(), [api]))
  const [search, setSearch] = useState('')
  const [isWithArchived, setWithArchived] = useState(false)
  const [open, setOpen] = useState<Open>(null)
  const [done, setDone] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)

  const all: Thing[] = [...(settings.value?.pages ?? []), ...(settings.value?.actions ?? [])]
  const wanted = search.trim().toLowerCase()
  const found = all
    .filter(thing => thing.kind === 'page' || isWithArchived || !thing.isArchived)
    .filter(thing => `${nameOf(thing)} ${thing.slug}`.toLowerCase().includes(wanted))
    .sort((one, other) => one.slug.localeCompare(other.slug))
  const archived = settings.value?.actions.filter(({ isArchived }) => isArchived).length ?? 0
  const changed = async (words: string) => {
    await settings.reload()
    setProblem(null)
    setDone(words)
  }
  const unarchive = async (thing: ActionSettings) => {
    try {
      await api.changeAction(environment, thing.id, { isArchived: false })
      await changed(`${nameOf(thing)} is offered again.`)
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  return (
    <Section
      title="Actions and access"
      text="Everything that hosts have declared, and who may use it. Nothing said: as the page above, else everybody."
      problem={problem ?? settings.problem ?? teams.problem}
      done={done}
      isLoading={isKnown && settings.value === null}
    >
      <div className="grid items-end gap-4 sm:grid-cols-[minmax(0,1fr)_14rem]">
        <input
          type="search"
          name="search"
          aria-label="Search actions and pages"
          placeholder="Search by what it is called, or by slug"
          className="control"
          value={search}
          onChange={event => setSearch(event.target.value)}
        />
        <Select
          name="environment"
          label="Environment"
          options={environments.map(({ slug, name }) => ({ value: slug, label: name }))}
          value={environment}
          onChange={event =>
            go(organizationHref({ organization: organization.slug }, 'actions', event.target.value))
          }
        />
      </div>
      {archived > 0 && (
        <Tick
          id="with-archived"
          label={`Show ${archived} archived`}
          checked={isWithArchived}
          onChange={setWithArchived}
        />
      )}
      {found.length === 0 ? (
        <Empty title={all.length === 0 ? 'No host has declared anything here yet.' : 'Nothing matches.'}>
          {all.length === 0
            ? 'Connect a host with a live key of this environment.'
            : 'Search for another part of a name or slug.'}
        </Empty>
      ) : (
        <ul className="card divide-y divide-line" aria-label="Actions and pages">
          {found.slice(0, shownMax).map(thing => (
            <ThingRow
              key={`${thing.kind} ${thing.id}`}
              schedulesHref={`${organizationHref({ organization: organization.slug }, 'schedules')}?${new URLSearchParams({ environment, action: thing.slug })}`}
              thing={thing}
              pages={settings.value?.pages ?? []}
              teams={teams.value ?? []}
              onOpen={setOpen}
              onUnarchive={unarchive}
            />
          ))}
        </ul>
      )}
      {found.length > shownMax && (
        <p className="text-muted">
          {shownMax} of {found.length} are shown. Search for the others.
        </p>
      )}
      {open?.kind === 'access' && (
        <AccessForm
          api={api}
          environment={environment}
          thing={open.thing}
          inherited={inheritedWords(open.thing, settings.value?.pages ?? [])}
          teams={teams.value ?? []}
          onClose={() => setOpen(null)}
          onChanged={() => changed(`Access to ${nameOf(open.thing)} was changed.`)}
        />
      )}
      {open?.kind === 'settings' && (
        <ActionForm
          api={api}
          environment={environment}
          action={open.thing}
          onClose={() => setOpen(null)}
          onChanged={() => changed(`${nameOf(open.thing)} was changed.`)}
        />
      )}
      {open?.kind === 'archive' && (
        <Ask
          title={`Archive ${nameOf(open.thing)}?`}
          action="Archive"
          onClose={() => setOpen(null)}
          onConfirmed={async () => {
            await api.changeAction(environment, open.thing.id, { isArchived: true })
            await changed(`${nameOf(open.thing)} was archived.`)
          }}
        >
          Nobody is offered it any more, whatever hosts declare, and its schedules are deleted. Its history
          stays.
        </Ask>
      )}
    </Section>
  )
}

function ThingRow({
  thing,
  schedulesHref,
  pages,
  teams,
  onOpen,
  onUnarchive,
}: {
  thing: Thing
  schedulesHref: string
  pages: readonly PageSettings[]
  teams: readonly Team[]
  onOpen: (open: Open) => void
  onUnarchive: (thing: ActionSettings) => Promise<void>
}) {
  const name = nameOf(thing)
  const isArchived = thing.kind === 'action' && thing.isArchived
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
      <Icon name={thing.kind === 'page' ? 'folder' : 'play'} className="size-4.5 text-muted" />
      <div className="min-w-0 flex-1 basis-60">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1 font-medium">
          <span className="min-w-0 break-words">{name}</span>
          {isArchived && <Badge tone="warning">Archived</Badge>}
          {thing.unlisted && <Badge>Unlisted</Badge>}
          {thing.inCode && <Badge tone="accent">Access in code</Badge>}
        </p>
        {name !== thing.slug && (
          <code className="block font-mono text-sm [overflow-wrap:anywhere] text-muted">{thing.slug}</code>
        )}
        <p className="text-sm text-muted">{accessWords(thing, pages, teams)}</p>
      </div>
      <div className="grid basis-full grid-cols-2 gap-2 sm:flex sm:basis-auto sm:flex-wrap">
        <button
          type="button"
          className="button small"
          aria-label={`Access to ${name}`}
          disabled={thing.inCode}
          onClick={() => onOpen({ kind: 'access', thing })}
        >
          Access
        </button>
        {thing.kind === 'action' && (
          <AppLink className="button small" aria-label={`Schedules of ${name}`} href={schedulesHref}>
            Schedules
          </AppLink>
        )}
        {thing.kind === 'action' && (
          <button
            type="button"
            className="button small"
            aria-label={`Settings of ${name}`}
            onClick={() => onOpen({ kind: 'settings', thing })}
          >
            Settings
          </button>
        )}
        {thing.kind === 'action' && (
          <button
            type="button"
            className="button small"
            aria-label={isArchived ? `Unarchive ${name}` : `Archive ${name}`}
            onClick={() => (isArchived ? void onUnarchive(thing) : onOpen({ kind: 'archive', thing }))}
          >
            {isArchived ? 'Unarchive' : 'Archive'}
          </button>
        )}
      </div>
    </li>
  )
}

function nameOf(thing: Thing): string {
  const own = thing.kind === 'action' ? (thing.overrides.name ?? thing.name) : thing.name
  return own ?? thing.slug.slice(thing.slug.lastIndexOf('/') + 1)
}

/** Who may, in a line. */
function accessWords(thing: Thing, pages: readonly PageSettings[], teams: readonly Team[]): string {
  if (thing.availability === null) return inheritedWords(thing, pages)
  if (thing.availability === 'ORGANIZATION') return 'Open to everybody'
  const names = thing.teams.map(({ id, level }) => {
    const name = teams.find(team => team.id === id)?.name ?? 'a team'
    return level === 'RUNNER' ? name : `${name} (${levelLabels[level].toLowerCase()})`
  })
  return names.length === 0 ? 'Open to nobody: no team is chosen' : `Only ${names.join(', ')}`
}

function inheritedWords({ inheritsFrom }: Thing, pages: readonly PageSettings[]): string {
  if (inheritsFrom === null) return 'Open to everybody: nothing is said here or above'
  const page = pages.find(({ slug }) => slug === inheritsFrom)
  return `Inherits from page ${page?.name ?? inheritsFrom}`
}
