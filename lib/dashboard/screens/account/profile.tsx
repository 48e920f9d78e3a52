/** Name, address, time zone, and where a person is told things. */
import { useState } from 'react'
import { accountApi, type NotificationMethod } from '../../api-account.js'
import { Select } from '../../components/choice.js'
import { Input } from '../../components/input.js'
import { Banner, Problem } from '../../components/notice.js'
import { ProofField, useProof } from '../../components/proof-field.js'
import { Part, Section } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { useLive } from '../../services.js'
import type { SectionProps } from './frame.js'

export default function ProfileSection(props: SectionProps) {
  return (
    <Section title="Profile">
      <Person {...props} />
      <Address {...props} />
    </Section>
  )
}

function Person({ account, reload }: SectionProps) {
  const { refresh } = useLive()
  const [firstName, setFirstName] = useState(account.firstName)
  const [lastName, setLastName] = useState(account.lastName)
  const [timeZone, setTimeZone] = useState(account.timeZone ?? browserTimeZone())
  const [method, setMethod] = useState<NotificationMethod>(account.notificationMethod)
  const [isSaved, setSaved] = useState(false)
  const submission = useSubmission()
  const zones = timeZones(timeZone)
  return (
    <Part title="About you">
      <form
        className="grid max-w-xl gap-4"
        onChange={() => setSaved(false)}
        onSubmit={submission.on(async () => {
          await accountApi.changeProfile({ firstName, lastName, timeZone, notificationMethod: method })
          await Promise.all([reload(), refresh()])
          setSaved(true)
        })}
      >
        <Problem text={submission.problem} />
        <div className="grid gap-4 sm:grid-cols-2">
          <Input
            name="firstName"
            label="First name"
            autoComplete="given-name"
            required
            maxLength={100}
            error={submission.errors.firstName}
            value={firstName}
            onChange={event => setFirstName(event.target.value)}
          />
          <Input
            name="lastName"
            label="Last name"
            autoComplete="family-name"
            required
            maxLength={100}
            error={submission.errors.lastName}
            value={lastName}
            onChange={event => setLastName(event.target.value)}
          />
        </div>
        <Select
          id="input-timeZone"
          name="timeZone"
          label="Time zone"
          value={timeZone}
          options={zones.map(zone => ({ value: zone, label: zone.replaceAll('_', ' ') }))}
          onChange={event => setTimeZone(event.target.value)}
        />
        <Select
          id="input-method"
          name="method"
          label="Notifications reach you by"
          hint="Where an action does not say otherwise."
          value={method}
          options={[
            { value: 'EMAIL', label: 'Email' },
            { value: 'SLACK', label: 'Slack' },
          ]}
          onChange={event => setMethod(event.target.value === 'SLACK' ? 'SLACK' : 'EMAIL')}
        />
        <div className="flex flex-wrap items-center gap-4">
          <SubmitButton isBusy={submission.isBusy}>Save</SubmitButton>
          <span role="status" className="text-sm text-success">
            {isSaved && 'Saved.'}
          </span>
        </div>
      </form>
    </Part>
  )
}

function Address({ account, reload }: SectionProps) {
  const { refresh } = useLive()
  const [isOpen, setOpen] = useState(false)
  const [email, setEmail] = useState('')
  const proof = useProof('email-proof', account)
  const submission = useSubmission({ email: 'new-email', password: 'email-proof', code: 'email-proof' })
  const cancelling = useSubmission()
  const resending = useSubmission()
  const [isResent, setResent] = useState(false)
  const close = () => {
    setOpen(false)
    setEmail('')
    proof.clear()
    submission.clear()
  }
  const problem = submission.problem ?? cancelling.problem ?? resending.problem
  return (
    <Part title="Email address" text={<span className="break-all">{account.email}</span>}>
      <Problem text={problem} />
      {!account.emailConfirmed && (
        <Banner tone="warning">
          <div className="flex flex-wrap items-center gap-3">
            <p className="flex-1 basis-56">
              {isResent ? 'Another link is on its way.' : 'This address is not confirmed yet.'}
            </p>
            <button
              type="button"
              className="button small"
              disabled={resending.isBusy}
              onClick={() =>
                void resending.run(async () => {
                  await accountApi.resendConfirmation()
                  setResent(true)
                })
              }
            >
              Send another link
            </button>
          </div>
        </Banner>
      )}
      {account.pendingEmail !== null && (
        <Banner tone="plain" role="status">
          <div className="flex flex-wrap items-center gap-3">
            <p className="flex-1 basis-56 break-words">
              We sent a link to {account.pendingEmail}. Your address changes when you follow it.
            </p>
            <button
              type="button"
              className="button small"
              disabled={cancelling.isBusy}
              onClick={() =>
                void cancelling.run(async () => {
                  await accountApi.cancelEmailChange()
                  await reload()
                })
              }
            >
              Keep the present one
            </button>
          </div>
        </Banner>
      )}
      {!isOpen && (
        <button type="button" className="button justify-self-start" onClick={() => setOpen(true)}>
          Change the address
        </button>
      )}
      {isOpen && (
        <form
          className="grid max-w-xl gap-4"
          onSubmit={submission.on(async () => {
            await accountApi.changeEmail(email.trim(), proof.proof)
            await Promise.all([reload(), refresh()])
            close()
          })}
        >
          <Input
            name="new-email"
            label="New address"
            type="email"
            autoComplete="email"
            autoFocus
            required
            maxLength={320}
            error={submission.errors['new-email']}
            value={email}
            onChange={event => setEmail(event.target.value)}
          />
          <ProofField entry={proof} error={submission.errors['email-proof']} />
          <div className="flex flex-wrap gap-3">
            <SubmitButton isBusy={submission.isBusy}>Change the address</SubmitButton>
            <button type="button" className="button plain" onClick={close}>
              Cancel
            </button>
          </div>
        </form>
      )}
    </Part>
  )
}

function browserTimeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'
}

/** All that the browser knows, and the present one. */
function timeZones(present: string): string[] {
  return [...new Set(['UTC', ...Intl.supportedValuesOf('timeZone'), present])].sort()
}
