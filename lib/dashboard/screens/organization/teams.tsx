/**
 * Teams: groups of members that access rules speak of, by their slug in code. Without an id in the address the list, with
 * one that team: its members, and what it has access to.
 */
import { type FormEvent, useCallback, useMemo, useState } from 'react'
import { type Member, OrganizationApi, type Team, type TeamLevel } from '../../api-organization.js'
import { AppLink, useGo } from '../../components/app-link.js'
import { Ask } from '../../components/ask.js'
import { FormDialog } from '../../components/form-dialog.js'
import { Icon } from '../../components/icon.js'
import { Input } from '../../components/input.js'
import { Problem } from '../../components/notice.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { organizationHref } from '../../links.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import { memberName } from './roles.js'
import type { SectionProps } from './sections.js'

const levels: Record<TeamLevel, string> = {
  VIEWER: 'sees',
  RUNNER: 'runs',
  ADMINISTRATOR: 'runs, and sees the runs of others',
}

export default function TeamsSection({ organization, rest }: SectionProps) {
  const api = useMemo(() => new OrganizationApi(organization.slug), [organization.slug])
  const isManager = organization.permissions.includes('WRITE_ORG_USERS')
  const [id] = rest
  const place = { organization: organization.slug }
  return id === undefined ? (
    <TeamList api={api} isManager={isManager} place={place} />
  ) : (
    <TeamScreen key={id} api={api} id={id} isManager={isManager} place={place} />
  )
}

interface Common {
  api: OrganizationApi
  isManager: boolean
  place: { organization: string }
}

function TeamList({ api, isManager, place }: Common) {
  const teams = useLoaded(useCallback(() => api.teams(), [api]))
  const [isAdding, setAdding] = useState(false)
  const go = useGo()
  return (
    <Section
      title="Teams"
      text="What an action is open to can be limited to teams, here or in code by their slugs."
      actions={
        isManager && (
          <button type="button" className="button primary" onClick={() => setAdding(true)}>
            Add team
          </button>
        )
      }
      problem={teams.problem}
      isLoading={teams.value === null}
    >
      {teams.value?.length === 0 ? (
        <Empty title="There are no teams yet.">
          {isManager ? 'Add one, put members into it, and limit actions to it.' : 'Administrators make them.'}
        </Empty>
      ) : (
        <ul className="card divide-y divide-line" aria-label="Teams">
          {teams.value?.map(team => (
            <li key={team.id}>
              <AppLink
                href={organizationHref(place, 'teams', team.id)}
                className="flex items-center gap-4 px-4 py-3 hover:bg-sunken"
              >
                <span className="min-w-0 flex-1">
                  <span className="flex flex-wrap items-center gap-2 font-medium">
                    <span className="min-w-0 break-words">{team.name}</span>
                    {team.isManaged && <Badge>From a directory</Badge>}
                  </span>
                  <code className="block truncate font-mono text-sm text-muted">{team.slug}</code>
                </span>
                <span className="text-sm text-muted">
                  {team.members === 1 ? '1 member' : `${team.members} members`}
                </span>
                <Icon name="chevronRight" className="size-4 text-muted" />
              </AppLink>
            </li>
          ))}
        </ul>
      )}
      {isAdding && (
        <AddTeam
          api={api}
          onClose={() => setAdding(false)}
          onAdded={id => go(organizationHref(place, 'teams', id))}
        />
      )}
    </Section>
  )
}

function AddTeam({
  api,
  onClose,
  onAdded,
}: {
  api: OrganizationApi
  onClose: () => void
  onAdded: (id: string) => void
}) {
  const [name, setName] = useState('')
  const [slug, setSlug] = useState('')
  return (
    <FormDialog
      title="A new team"
      submit="Add team"
      onClose={onClose}
      onSubmit={async () => {
        const { id } = await api.addTeam({ name, ...(slug.trim() !== '' && { slug: slug.trim() }) })
        onAdded(id)
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
          <Input
            name="slug"
            label="Slug"
            hint="How code names it. Empty: made from the name. It stays as it is."
            maxLength={64}
            value={slug}
            error={errors.slug}
            onChange={event => setSlug(event.target.value)}
          />
        </>
      )}
    </FormDialog>
  )
}

function TeamScreen({ api, id, isManager, place }: Common & { id: string }) {
  const details = useLoaded(useCallback(() => api.team(id), [api, id]))
  const [open, setOpen] = useState<'rename' | 'delete' | null>(null)
  const [done, setDone] = useState<string | null>(null)
  const go = useGo()
  const team = details.value?.team
  const mayChange = isManager && team !== undefined && !team.isManaged
  const back = organizationHref(place, 'teams')
  return (
    <Section
      title={team?.name ?? 'Team'}
      text={
        <>
          <AppLink className="link" href={back}>
            Teams
          </AppLink>
          {team && (
            <>
              {' · '}
              <code className="font-mono text-sm">{team.slug}</code>
            </>
          )}
        </>
      }
      actions={
        mayChange && (
          <>
            <button type="button" className="button" onClick={() => setOpen('rename')}>
              Rename
            </button>
            <button type="button" className="button" onClick={() => setOpen('delete')}>
              Delete team
            </button>
          </>
        )
      }
      problem={details.problem}
      done={done}
      isLoading={details.value === null}
    >
      {team?.isManaged && (
        <p className="text-muted">
          This team comes from a directory: its name and members are changed there.
        </p>
      )}
      <TeamMembers
        api={api}
        id={id}
        members={details.value?.members ?? []}
        mayChange={mayChange}
        reload={details.reload}
        onDone={setDone}
      />
      <section className="grid gap-3" aria-labelledby="team-access">
        <h3 id="team-access" className="text-lg font-semibold">
          Access
        </h3>
        {details.value?.access.length === 0 ? (
          <p className="text-muted">Nothing is limited to this team.</p>
        ) : (
          <ul className="card divide-y divide-line">
            {details.value?.access.map(({ kind, environment, slug, level }) => (
              <li
                key={`${environment} ${kind} ${slug}`}
                className="flex flex-wrap gap-x-3 gap-y-1 px-4 py-2.5"
              >
                <Icon name={kind === 'page' ? 'folder' : 'play'} className="mt-0.5 size-4.5 text-muted" />
                <span className="min-w-0 flex-1 [overflow-wrap:anywhere]">{slug}</span>
                <span className="text-sm text-muted">
                  {environment} · {levels[level]}
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
      {open === 'rename' && team && (
        <RenameTeam
          api={api}
          team={team}
          onClose={() => setOpen(null)}
          onRenamed={async () => {
            await details.reload()
            setDone('The team was renamed.')
          }}
        />
      )}
      {open === 'delete' && team && (
        <Ask
          title={`Delete ${team.name}?`}
          action="Delete the team"
          onClose={() => setOpen(null)}
          onConfirmed={async () => {
            await api.deleteTeam(id)
            go(back)
          }}
        >
          Its members stay in the organization. What only this team may use is open to nobody then.
        </Ask>
      )}
    </Section>
  )
}

function RenameTeam({
  api,
  team,
  onClose,
  onRenamed,
}: {
  api: OrganizationApi
  team: Team
  onClose: () => void
  onRenamed: () => Promise<void>
}) {
  const [name, setName] = useState(team.name)
  return (
    <FormDialog
      title={`Rename ${team.name}`}
      submit="Save"
      onClose={onClose}
      onSubmit={async () => {
        await api.renameTeam(team.id, name)
        await onRenamed()
      }}
    >
      {errors => (
        <Input
          name="name"
          label="Name"
          required
          maxLength={100}
          value={name}
          error={errors.name}
          onChange={event => setName(event.target.value)}
        />
      )}
    </FormDialog>
  )
}

function TeamMembers({
  api,
  id,
  members,
  mayChange,
  reload,
  onDone,
}: {
  api: OrganizationApi
  id: string
  members: readonly Pick<Member, 'id' | 'email' | 'firstName' | 'lastName'>[]
  mayChange: boolean
  reload: () => Promise<void>
  onDone: (words: string) => void
}) {
  const [problem, setProblem] = useState<string | null>(null)
  const remove = async (member: (typeof members)[number]) => {
    setProblem(null)
    try {
      await api.takeFromTeam(id, member.id)
      await reload()
      onDone(`${memberName(member)} is not in the team any more.`)
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  return (
    <section className="grid gap-3" aria-labelledby="team-members">
      <h3 id="team-members" className="text-lg font-semibold">
        Members
      </h3>
      <Problem text={problem} />
      {mayChange && (
        <AddMember
          api={api}
          id={id}
          known={new Set(members.map(member => member.id))}
          onAdded={async words => {
            await reload()
            onDone(words)
          }}
        />
      )}
      {members.length === 0 ? (
        <p className="text-muted">Nobody is in this team yet.</p>
      ) : (
        <ul className="card divide-y divide-line" aria-label="Members of the team">
          {members.map(member => (
            <li key={member.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2.5">
              <span className="min-w-0 flex-1">
                <span className="block break-words">{memberName(member)}</span>
                <span className="block text-sm [overflow-wrap:anywhere] text-muted">{member.email}</span>
              </span>
              {mayChange && (
                <button
                  type="button"
                  className="button small"
                  aria-label={`Remove ${memberName(member)} from the team`}
                  onClick={() => void remove(member)}
                >
                  Remove
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

/** Finds members as one types, and puts one of them into the team. */
function AddMember({
  api,
  id,
  known,
  onAdded,
}: {
  api: OrganizationApi
  id: string
  known: ReadonlySet<string>
  onAdded: (words: string) => Promise<void>
}) {
  const [text, setText] = useState('')
  const [problem, setProblem] = useState<string | null>(null)
  const [found, setFound] = useState<readonly Member[] | null>(null)
  const search = async (event: FormEvent) => {
    event.preventDefault()
    setProblem(null)
    try {
      const { rows } = await api.members(text, null)
      setFound(rows.filter(member => !known.has(member.id)))
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  const add = async (member: Member) => {
    setProblem(null)
    try {
      await api.addToTeam(id, member.id)
      setFound(null)
      setText('')
      await onAdded(`${memberName(member)} is in the team now.`)
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  return (
    <div className="grid gap-3">
      <form className="flex flex-wrap items-end gap-3" onSubmit={search}>
        <div className="min-w-0 flex-1 basis-60">
          <Input
            name="member"
            label="Add somebody"
            placeholder="Part of a name or address"
            autoComplete="off"
            value={text}
            error={problem ?? undefined}
            onChange={event => setText(event.target.value)}
          />
        </div>
        <button type="submit" className="button">
          Find
        </button>
      </form>
      {found?.length === 0 && (
        <p className="text-sm text-muted" role="status">
          Nobody who is not in the team yet matches. Invite them under Users first.
        </p>
      )}
      {found !== null && found.length > 0 && (
        <ul className="card divide-y divide-line" aria-label="Found">
          {found.map(member => (
            <li key={member.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2.5">
              <span className="min-w-0 flex-1">
                <span className="block break-words">{memberName(member)}</span>
                <span className="block text-sm [overflow-wrap:anywhere] text-muted">{member.email}</span>
              </span>
              <button
                type="button"
                className="button small primary"
                aria-label={`Add ${memberName(member)} to the team`}
                onClick={() => void add(member)}
              >
                Add
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
