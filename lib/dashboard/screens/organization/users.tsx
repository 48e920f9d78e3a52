/**
 * Who is in the organization, and who is invited. Those who may change members add, edit and remove them; everybody else
 * sees who is there. Forms exist only while they are open.
 */
import { useCallback, useEffect, useMemo, useState } from 'react'
import {
  type Invitation,
  type Member,
  OrganizationApi,
  type RoleName,
  type Team,
} from '../../api-organization.js'
import { Ask } from '../../components/ask.js'
import { Select, Tick } from '../../components/choice.js'
import { CopyButton } from '../../components/copy-button.js'
import { FormDialog } from '../../components/form-dialog.js'
import { Icon } from '../../components/icon.js'
import { Input } from '../../components/input.js'
import { Problem } from '../../components/notice.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { formatDateTime, formatLongDate } from '../../format.js'
import { useLive } from '../../services.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import { givenRoles, memberName, roleHint, roleLabel } from './roles.js'
import type { SectionProps } from './sections.js'

/** Typing is over after so long. */
const typingMs = 250

type Open = { kind: 'add' } | { kind: 'edit' | 'remove'; member: Member } | null

export default function UsersSection({ organization }: SectionProps) {
  const { session, refresh } = useLive()
  const api = useMemo(() => new OrganizationApi(organization.slug), [organization.slug])
  const isManager = organization.permissions.includes('WRITE_ORG_USERS')
  const [typed, setTyped] = useState('')
  const search = useSettled(typed)
  const [more, setMore] = useState<{ rows: Member[]; next: string | null } | null>(null)
  const first = useLoaded(
    useCallback(async () => {
      const page = await api.members(search, null)
      setMore(null)
      return page
    }, [api, search]),
  )
  const teams = useLoaded(useCallback(() => api.teams(), [api]))
  const invitations = useLoaded(
    useCallback(async () => (isManager ? api.invitations() : []), [api, isManager]),
  )
  const [open, setOpen] = useState<Open>(null)
  const [done, setDone] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)

  const members = [...(first.value?.rows ?? []), ...(more?.rows ?? [])]
  const next = more ? more.next : (first.value?.next ?? null)
  const loadMore = async () => {
    try {
      const page = await api.members(search, next)
      setMore({ rows: [...(more?.rows ?? []), ...page.rows], next: page.next })
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  /** Something about a member has changed; when that is oneself, so has what one may see. */
  const changed = async (member: Member, words: string) => {
    await first.reload()
    if (member.id === session.user.id) await refresh()
    setDone(words)
  }
  return (
    <Section
      title="Users"
      text={`Who is in ${organization.name}, and what they may do here.`}
      actions={
        isManager && (
          <button type="button" className="button primary" onClick={() => setOpen({ kind: 'add' })}>
            Add user
          </button>
        )
      }
      problem={problem ?? first.problem ?? teams.problem ?? invitations.problem}
      done={done}
      isLoading={first.value === null}
    >
      <input
        type="search"
        name="search"
        aria-label="Search users"
        placeholder="Search by name or address"
        className="control"
        value={typed}
        onChange={event => setTyped(event.target.value)}
      />
      {members.length === 0 ? (
        <Empty title={`Nobody here matches “${search}”.`}>
          Search for another part of a name or address.
        </Empty>
      ) : (
        <ul className="card divide-y divide-line" aria-label="Users">
          {members.map(member => (
            <MemberRow
              key={member.id}
              member={member}
              isSelf={member.id === session.user.id}
              isManager={isManager}
              onOpen={setOpen}
            />
          ))}
        </ul>
      )}
      {next !== null && (
        <button type="button" className="button justify-self-start" onClick={loadMore}>
          Show more users
        </button>
      )}
      {isManager && invitations.value !== null && (
        <Invitations
          api={api}
          invitations={invitations.value}
          teams={teams.value ?? []}
          reload={invitations.reload}
          onDone={setDone}
        />
      )}
      {open?.kind === 'add' && (
        <AddUser
          api={api}
          teams={teams.value ?? []}
          onClose={() => setOpen(null)}
          onInvited={async email => {
            await invitations.reload()
            setDone(`An invitation was sent to ${email}.`)
          }}
        />
      )}
      {open?.kind === 'edit' && (
        <EditUser
          api={api}
          member={open.member}
          teams={teams.value ?? []}
          onClose={() => setOpen(null)}
          onChanged={() => changed(open.member, `${memberName(open.member)} was changed.`)}
        />
      )}
      {open?.kind === 'remove' && (
        <Ask
          title={`Remove ${memberName(open.member)}?`}
          action="Remove from the organization"
          dismissal="Keep"
          onClose={() => setOpen(null)}
          onConfirmed={async () => {
            await api.removeMember(open.member.id)
            await changed(open.member, `${memberName(open.member)} was removed.`)
          }}
        >
          <p>They lose access within seconds. What they have run stays in the history.</p>
          {(open.member.liveKeys ?? 0) > 0 && (
            <p className="mt-2 font-medium text-danger">
              {open.member.liveKeys === 1
                ? 'Their live key ends too, and hosts that use it are disconnected.'
                : `Their ${open.member.liveKeys} live keys end too, and hosts that use them are disconnected.`}
            </p>
          )}
        </Ask>
      )}
    </Section>
  )
}

function MemberRow({
  member,
  isSelf,
  isManager,
  onOpen,
}: {
  member: Member
  isSelf: boolean
  isManager: boolean
  onOpen: (open: Open) => void
}) {
  const name = memberName(member)
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
      <div className="min-w-0 flex-1 basis-60">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1 font-medium">
          <span className="min-w-0 break-words">{name}</span>
          {isSelf && <Badge>You</Badge>}
          {member.isOwner && <Badge tone="accent">Owner</Badge>}
        </p>
        <p className="text-sm [overflow-wrap:anywhere] text-muted">{member.email}</p>
        {member.teams.length > 0 && (
          <ul className="mt-1.5 flex flex-wrap gap-1.5" aria-label={`Teams of ${name}`}>
            {member.teams.map(team => (
              <li key={team.id} className="flex">
                <Badge>{team.name}</Badge>
              </li>
            ))}
          </ul>
        )}
      </div>
      <p className="basis-full text-sm text-muted sm:w-28 sm:basis-auto">{roleLabel(member.role)}</p>
      {isManager && (
        <div className="flex gap-2">
          <button
            type="button"
            className="button small"
            aria-label={`Edit ${name}`}
            onClick={() => onOpen({ kind: 'edit', member })}
          >
            Edit
          </button>
          <button
            type="button"
            className="button small"
            aria-label={`Remove ${name}`}
            // The owner gives the organization away first.
            disabled={member.isOwner}
            onClick={() => onOpen({ kind: 'remove', member })}
          >
            Remove
          </button>
        </div>
      )}
    </li>
  )
}

/** One labelled checkbox per team. */
function TeamTicks({
  teams,
  chosen,
  onChange,
}: {
  teams: readonly Team[]
  chosen: ReadonlySet<string>
  onChange: (chosen: ReadonlySet<string>) => void
}) {
  if (teams.length === 0) return null
  return (
    <fieldset className="grid gap-2">
      <legend className="mb-1.5 text-sm font-medium">Teams</legend>
      {teams.map(team => (
        <Tick
          key={team.id}
          id={`team-${team.id}`}
          label={team.name}
          checked={chosen.has(team.id)}
          disabled={team.isManaged}
          {...(team.isManaged && { hint: 'Its members come from a directory.' })}
          onChange={isIn => {
            const next = new Set(chosen)
            if (isIn) next.add(team.id)
            else next.delete(team.id)
            onChange(next)
          }}
        />
      ))}
    </fieldset>
  )
}

function AddUser({
  api,
  teams,
  onClose,
  onInvited,
}: {
  api: OrganizationApi
  teams: readonly Team[]
  onClose: () => void
  onInvited: (email: string) => Promise<void>
}) {
  const [email, setEmail] = useState('')
  const [role, setRole] = useState('ACTION_RUNNER')
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  return (
    <FormDialog
      title="Invite somebody"
      submit="Add user"
      onClose={onClose}
      onSubmit={async () => {
        const invitation = await api.invite({ email: email.trim(), role, teams: [...chosen] })
        await onInvited(invitation.email)
      }}
    >
      {errors => (
        <>
          <Input
            name="email"
            type="email"
            label="Email address"
            hint="They get a link by mail and choose a password."
            autoComplete="off"
            required
            maxLength={254}
            value={email}
            error={errors.email}
            onChange={event => setEmail(event.target.value)}
          />
          <Select
            name="role"
            label="Role"
            options={givenRoles}
            hint={roleHint(role)}
            error={errors.role}
            value={role}
            onChange={event => setRole(event.target.value)}
          />
          <TeamTicks teams={teams.filter(team => !team.isManaged)} chosen={chosen} onChange={setChosen} />
        </>
      )}
    </FormDialog>
  )
}

function EditUser({
  api,
  member,
  teams,
  onClose,
  onChanged,
}: {
  api: OrganizationApi
  member: Member
  teams: readonly Team[]
  onClose: () => void
  onChanged: () => Promise<void>
}) {
  const [role, setRole] = useState<string>(member.role ?? '')
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(member.teams.map(team => team.id)))
  const isKnown = givenRoles.some(({ value }) => value === member.role)
  const options = isKnown
    ? givenRoles
    : [{ value: member.role ?? '', label: roleLabel(member.role) }, ...givenRoles]
  return (
    <FormDialog
      title={memberName(member)}
      submit="Save"
      onClose={onClose}
      onSubmit={async () => {
        await api.changeMember(member.id, {
          ...(role !== (member.role ?? '') && { role: role as RoleName }),
          teams: [...chosen],
        })
        await onChanged()
      }}
    >
      {errors => (
        <>
          <p className="text-sm [overflow-wrap:anywhere] text-muted">
            {member.email}
            {' · '}here since {formatLongDate(new Date(member.joinedAt))}
            {member.hasSecondFactor === true ? ' · second factor on' : ' · no second factor'}
          </p>
          <Select
            name="role"
            label="Role"
            options={options}
            hint={member.isOwner ? 'The owner stays an administrator.' : roleHint(role)}
            error={errors.role}
            disabled={member.isOwner}
            value={role}
            onChange={event => setRole(event.target.value)}
          />
          <TeamTicks teams={teams} chosen={chosen} onChange={setChosen} />
        </>
      )}
    </FormDialog>
  )
}

function Invitations({
  api,
  invitations,
  teams,
  reload,
  onDone,
}: {
  api: OrganizationApi
  invitations: readonly Invitation[]
  teams: readonly Team[]
  reload: () => Promise<void>
  onDone: (words: string) => void
}) {
  const [revoking, setRevoking] = useState<Invitation | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const nameOf = new Map(teams.map(team => [team.id, team.name]))
  const resend = async ({ id, email }: Invitation) => {
    setProblem(null)
    try {
      await api.resendInvitation(id)
      await reload()
      onDone(`The invitation was sent to ${email} again.`)
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  if (invitations.length === 0) return null
  return (
    <section className="grid gap-3" aria-labelledby="invitations">
      <h3 id="invitations" className="text-lg font-semibold">
        Invitations that wait
      </h3>
      <Problem text={problem} />
      <ul className="card divide-y divide-line">
        {invitations.map(invitation => (
          <li key={invitation.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
            <div className="min-w-0 flex-1 basis-60">
              <p className="flex flex-wrap items-center gap-2 font-medium">
                <span className="min-w-0 [overflow-wrap:anywhere]">{invitation.email}</span>
                {invitation.isExpired && <Badge tone="warning">Expired</Badge>}
              </p>
              <p className="text-sm text-muted">
                {[roleLabel(invitation.role), ...invitation.teamIds.flatMap(id => nameOf.get(id) ?? [])].join(
                  ', ',
                )}
                {' · '}
                {invitation.isExpired ? 'ended' : 'until'} {formatDateTime(new Date(invitation.expiresAt))}
              </p>
            </div>
            <div className="flex flex-wrap gap-2">
              {!invitation.isExpired && (
                <CopyButton text={linkOf(invitation)} label={`Copy the link for ${invitation.email}`} />
              )}
              <button
                type="button"
                className="button small"
                aria-label={`Resend the invitation to ${invitation.email}`}
                onClick={() => void resend(invitation)}
              >
                <Icon name="restart" className="size-4" />
                Resend
              </button>
              <button
                type="button"
                className="button small"
                aria-label={`Revoke the invitation of ${invitation.email}`}
                onClick={() => setRevoking(invitation)}
              >
                Revoke
              </button>
            </div>
          </li>
        ))}
      </ul>
      {revoking && (
        <Ask
          title={`Revoke the invitation of ${revoking.email}?`}
          action="Revoke the invitation"
          onClose={() => setRevoking(null)}
          onConfirmed={async () => {
            await api.revokeInvitation(revoking.id)
            await reload()
            onDone(`The invitation of ${revoking.email} was revoked.`)
          }}
        >
          Its link leads nowhere from then on.
        </Ask>
      )}
    </section>
  )
}

function linkOf({ id }: Invitation): string {
  return `${window.location.origin}/signup?token=${encodeURIComponent(id)}`
}

/** The text once nobody has typed for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), typingMs)
    return () => clearTimeout(timer)
  }, [text])
  return settled
}
