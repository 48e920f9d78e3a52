/**
 * How an organization reaches people: whether mails are sent, its Slack workspace, what did not arrive, and the outbox,
 * where what was not sent can be read and sent again.
 */
import { DialogDismiss } from '@ariakit/react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import {
  type Channels,
  channelsOf,
  connectSlack,
  disconnectSlack,
  failedDeliveries,
  type MailRow,
  mailsOf,
  mailText,
  sendMailAgain,
} from '../../api-channels.js'
import { Ask } from '../../components/ask.js'
import { Select } from '../../components/choice.js'
import { CopyButton } from '../../components/copy-button.js'
import { DialogFrame } from '../../components/dialog-frame.js'
import { Loading, Problem } from '../../components/notice.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { formatDateTime } from '../../format.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import type { SectionProps } from './sections.js'

export default function ChannelsSection({ organization: { slug } }: SectionProps) {
  const channels = useLoaded(useMemo(() => () => channelsOf(slug), [slug]))
  const [done, setDone] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  return (
    <Section
      title="Mail and Slack"
      text="How people hear of what actions and runs tell them."
      problem={problem ?? channels.problem}
      done={done}
      isLoading={channels.value === null}
    >
      {channels.value && (
        <>
          <Slack
            organization={slug}
            channels={channels.value}
            onProblem={setProblem}
            onDisconnected={async () => {
              await channels.reload()
              setDone('Slack is disconnected.')
            }}
          />
          <Failed organization={slug} />
          <Outbox organization={slug} sendsMail={channels.value.sendsMail} />
        </>
      )}
    </Section>
  )
}

function Slack({
  organization,
  channels: { offersSlack, workspace },
  onDisconnected,
  onProblem,
}: {
  organization: string
  channels: Channels
  onDisconnected: () => Promise<void>
  onProblem: (problem: string) => void
}) {
  const [isAsking, setAsking] = useState(false)
  const connect = async () => {
    try {
      window.location.assign(await connectSlack(organization))
    } catch (error) {
      onProblem(messageOf(error))
    }
  }
  return (
    <section className="card flex flex-wrap items-center gap-x-6 gap-y-3 p-5" aria-labelledby="slack">
      <div className="grid min-w-0 flex-1 basis-64 gap-1">
        <h3 id="slack" className="font-semibold">
          Slack
        </h3>
        <p className="text-muted">
          {workspace !== null
            ? `Connected to ${workspace}. People are found there by their address.`
            : offersSlack
              ? 'Connect a workspace to send notifications to its channels and people.'
              : 'Not set up on this server: it needs SLACK_CLIENT_ID and SLACK_CLIENT_SECRET.'}
        </p>
      </div>
      {workspace !== null ? (
        <button type="button" className="button" onClick={() => setAsking(true)}>
          Disconnect
        </button>
      ) : (
        offersSlack && (
          <button type="button" className="button primary" onClick={() => void connect()}>
            Connect Slack
          </button>
        )
      )}
      {isAsking && (
        <Ask
          title="Disconnect Slack?"
          action="Disconnect"
          dismissal="Stay connected"
          onClose={() => setAsking(false)}
          onConfirmed={async () => {
            await disconnectSlack(organization)
            await onDisconnected()
          }}
        >
          Notifications for its channels fail then; people get theirs by mail.
        </Ask>
      )}
    </section>
  )
}

/** Notifications that reached nobody; mails that are on their way stand in the outbox. Absent when there are none. */
function Failed({ organization }: { organization: string }) {
  const { value, problem } = useLoaded(useMemo(() => () => failedDeliveries(organization), [organization]))
  if (problem !== null) return <Problem text={problem} />
  if (value === null || value.length === 0) return null
  return (
    <section className="grid gap-3" aria-labelledby="failed">
      <div className="grid gap-1">
        <h3 id="failed" className="font-semibold">
          Did not arrive
        </h3>
        <p className="text-muted">Notifications that could not be delivered, and are not tried again.</p>
      </div>
      <ul className="card divide-y divide-line" aria-labelledby="failed">
        {value.map(({ id, title, to, isBySlack, createdAtMs, error }) => (
          <li key={id} className="px-4 py-3">
            <p className="font-medium break-words">{title ?? 'Notification'}</p>
            <p className="text-sm break-words text-muted">
              To {to}
              {isBySlack && ' by Slack'}
              {createdAtMs !== null && ` · ${formatDateTime(new Date(createdAtMs))}`}
            </p>
            {error !== null && <p className="text-sm break-words text-danger">{error}</p>}
          </li>
        ))}
      </ul>
    </section>
  )
}

const statuses: Readonly<Record<string, readonly [string, 'plain' | 'success' | 'danger' | 'warning']>> = {
  WAITING: ['Waits', 'warning'],
  SENT: ['Sent', 'success'],
  FAILED: ['Failed', 'danger'],
  KEPT: ['Not sent', 'plain'],
}

function Outbox({ organization, sendsMail }: { organization: string; sendsMail: boolean }) {
  const [status, setStatus] = useState('')
  return (
    <section className="grid gap-3" aria-labelledby="outbox">
      <div className="flex flex-wrap items-end gap-x-6 gap-y-3">
        <div className="grid min-w-0 flex-1 basis-64 gap-1">
          <h3 id="outbox" className="font-semibold">
            Outbox
          </h3>
          <p className="text-muted">
            {sendsMail
              ? 'Mails of the last 30 days. What was sent cannot be read any more.'
              : 'This server sends no mails: set SMTP_URL to have them sent. Until then, pass on yourself what stands in them.'}
          </p>
        </div>
        <div className="w-40">
          <Select
            name="status"
            label="State"
            value={status}
            options={[
              { value: '', label: 'Any' },
              ...Object.entries(statuses).map(([value, [label]]) => ({ value, label })),
            ]}
            onChange={event => setStatus(event.target.value)}
          />
        </div>
      </div>
      <Mails key={status} organization={organization} status={status} sendsMail={sendsMail} />
    </section>
  )
}

/** The mails in one state; another state is another list. */
function Mails({
  organization,
  status,
  sendsMail,
}: {
  organization: string
  status: string
  sendsMail: boolean
}) {
  const [known, setKnown] = useState<{ mails: readonly MailRow[]; next: string | null } | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [isLoading, setLoading] = useState(false)
  const [reading, setReading] = useState<MailRow | null>(null)
  const load = useCallback(
    async (before: typeof known) => {
      setLoading(true)
      try {
        const { mails, next } = await mailsOf(organization, status, before?.next ?? null)
        setKnown({ mails: [...(before?.mails ?? []), ...mails], next })
        setProblem(null)
      } catch (error) {
        setProblem(messageOf(error))
      } finally {
        setLoading(false)
      }
    },
    [organization, status],
  )
  useEffect(() => {
    void load(null)
  }, [load])
  return (
    <>
      <Problem text={problem} />
      {known === null && problem === null && <Loading />}
      {known?.mails.length === 0 && <Empty title="There are no mails here" />}
      {known !== null && known.mails.length > 0 && (
        <ul className="card divide-y divide-line" aria-label="Mails">
          {known.mails.map(mail => (
            <li key={mail.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
              <div className="min-w-0 flex-1 basis-56">
                <p className="font-medium break-words">{mail.subject}</p>
                <p className="text-sm break-words text-muted">
                  To {mail.to}
                  {mail.createdAtMs !== null && ` · ${formatDateTime(new Date(mail.createdAtMs))}`}
                </p>
                {mail.error !== null && <p className="text-sm break-words text-danger">{mail.error}</p>}
              </div>
              <Badge tone={statuses[mail.status]?.[1] ?? 'plain'}>
                {statuses[mail.status]?.[0] ?? mail.status}
              </Badge>
              {(mail.status === 'FAILED' || mail.status === 'KEPT') && (
                <button
                  type="button"
                  className="button small"
                  aria-label={`Read ${mail.subject} to ${mail.to}`}
                  onClick={() => setReading(mail)}
                >
                  Read
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {known?.next != null && (
        <button
          type="button"
          className="button justify-self-center"
          disabled={isLoading}
          onClick={() => void load(known)}
        >
          Show older mails
        </button>
      )}
      {reading !== null && (
        <Reading
          organization={organization}
          mail={reading}
          sendsMail={sendsMail}
          onSent={() => load(null)}
          onClose={() => setReading(null)}
        />
      )}
    </>
  )
}

function Reading({
  organization,
  mail,
  sendsMail,
  onSent,
  onClose,
}: {
  organization: string
  mail: MailRow
  sendsMail: boolean
  onSent: () => Promise<void>
  onClose: () => void
}) {
  const loaded = useLoaded(useMemo(() => () => mailText(organization, mail.id), [organization, mail.id]))
  const sending = useSubmission()
  const send = (): Promise<boolean> =>
    sending.run(async () => {
      await sendMailAgain(organization, mail.id)
      await onSent()
      onClose()
    })
  const text = loaded.value
  return (
    <DialogFrame title={mail.subject} text={`To ${mail.to}`} onClose={onClose} isWide>
      <pre className="code-block min-h-40 break-words whitespace-pre-wrap">{text ?? ''}</pre>
      <Problem text={sending.problem ?? loaded.problem} />
      <div className="flex flex-wrap justify-end gap-3">
        {text !== null && <CopyButton text={text} />}
        {sendsMail && (
          <SubmitButton tone="plain" isBusy={sending.isBusy} onPress={() => void send()}>
            Send it now
          </SubmitButton>
        )}
        <DialogDismiss className="button primary" autoFocus>
          Close
        </DialogDismiss>
      </div>
    </DialogFrame>
  )
}
