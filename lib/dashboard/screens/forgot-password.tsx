/** Asking for a link to choose a new password. The answer is the same for every address. */
import { useState } from 'react'
import { accountApi } from '../api-account.js'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Input } from '../components/input.js'
import { Problem } from '../components/notice.js'
import { useSubmission } from '../components/submission.js'
import { SubmitButton } from '../components/submit-button.js'

export default function ForgotPasswordScreen() {
  const [email, setEmail] = useState('')
  const [asked, setAsked] = useState<string | null>(null)
  const submission = useSubmission()

  if (asked !== null) {
    return (
      <Entrance
        title="Look into your mail"
        text={`If there is an account with ${asked}, a link is on its way to it.`}
      >
        <p className="text-sm text-muted" role="status">
          The link works once, for half an hour. Nothing there? Look among the unwanted mails, or ask an
          administrator whether this server can send mails.
        </p>
        <div className="flex flex-wrap gap-x-6 gap-y-2 text-sm">
          <button type="button" className="link" onClick={() => setAsked(null)}>
            Ask again
          </button>
          <AppLink href="/login" className="link">
            Back to the sign-in
          </AppLink>
        </div>
      </Entrance>
    )
  }
  return (
    <Entrance title="Choose a new password" text="We send a link to your address.">
      <form
        className="grid gap-4"
        onSubmit={submission.on(async () => {
          await accountApi.requestPasswordReset(email.trim())
          setAsked(email.trim())
        })}
      >
        <Problem text={submission.problem} />
        <Input
          name="email"
          label="Email address"
          type="email"
          autoComplete="username"
          autoFocus
          required
          maxLength={320}
          error={submission.errors.email}
          value={email}
          onChange={event => setEmail(event.target.value)}
        />
        <SubmitButton isBusy={submission.isBusy}>Send the link</SubmitButton>
      </form>
      <p className="text-sm">
        <AppLink href="/login" className="link">
          Back to the sign-in
        </AppLink>
      </p>
    </Entrance>
  )
}
