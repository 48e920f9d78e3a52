/** Where a person is signed in, and an end to it. */
import { useCallback, useEffect, useState } from 'react'
import { accountApi, type OwnSession } from '../../api-account.js'
import { Ask } from '../../components/ask.js'
import { Loading, Problem } from '../../components/notice.js'
import { Badge, Section } from '../../components/section.js'
import { formatDateTime } from '../../format.js'
import { useLive } from '../../services.js'
import { browserName } from '../../user-agent.js'

export default function SessionsSection() {
  const { signOut } = useLive()
  const [sessions, setSessions] = useState<readonly OwnSession[] | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [ending, setEnding] = useState<OwnSession | 'others' | null>(null)

  const load = useCallback(async () => {
    try {
      setSessions(await accountApi.sessions())
      setProblem(null)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    }
  }, [])
  useEffect(() => {
    void load()
  }, [load])

  const end = async (ending: OwnSession | 'others') => {
    if (ending !== 'others' && ending.isCurrent) return signOut()
    const ended = ending === 'others' ? (sessions ?? []).filter(({ isCurrent }) => !isCurrent) : [ending]
    for (const { id } of ended) await accountApi.endSession(id)
    await load()
  }

  const others = sessions?.filter(({ isCurrent }) => !isCurrent) ?? []
  return (
    <Section title="Sessions">
      <Problem text={problem} />
      {sessions === null && problem === null && <Loading />}
      {sessions !== null && (
        <ul className="card divide-y divide-line">
          {sessions.map(session => (
            <li key={session.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
              <span className="min-w-0 flex-1 basis-56">
                <span className="flex flex-wrap items-center gap-2 font-medium">
                  {browserName(session.userAgent)}
                  {session.isCurrent && <Badge tone="accent">This browser</Badge>}
                </span>
                <span className="block text-sm break-words text-muted">
                  {session.address ?? 'Unknown address'} · since {formatDateTime(new Date(session.createdAt))}{' '}
                  · last used {formatDateTime(new Date(session.lastUsedAt))}
                </span>
              </span>
              <button
                type="button"
                className="button small"
                aria-label={`${session.isCurrent ? 'Sign out' : 'End'}: ${browserName(session.userAgent)}, since ${formatDateTime(new Date(session.createdAt))}`}
                onClick={() => setEnding(session)}
              >
                {session.isCurrent ? 'Sign out' : 'End'}
              </button>
            </li>
          ))}
        </ul>
      )}
      {others.length > 1 && (
        <button type="button" className="button justify-self-start" onClick={() => setEnding('others')}>
          End all others
        </button>
      )}
      {ending !== null && (
        <Ask
          title={
            ending === 'others'
              ? 'End all other sessions?'
              : ending.isCurrent
                ? 'Sign out of this browser?'
                : 'End this session?'
          }
          action={ending !== 'others' && ending.isCurrent ? 'Sign out' : 'End it'}
          dismissal="Cancel"
          onClose={() => setEnding(null)}
          onConfirmed={() => end(ending)}
        >
          Whoever uses it has to sign in again. It ends within seconds.
        </Ask>
      )}
    </Section>
  )
}
