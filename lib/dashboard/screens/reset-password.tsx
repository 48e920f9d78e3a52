/** Choosing a new password with the link from a mail. All sessions end with it, also the one of this browser. */
import { useEffect, useState } from 'react'
import { useSearchParams } from 'react-router'
import { accountApi } from '../api-account.js'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Input } from '../components/input.js'
import { Loading, Problem } from '../components/notice.js'
import { useSubmission } from '../components/submission.js'
import { SubmitButton } from '../components/submit-button.js'

export default function ResetPasswordScreen({ onDone }: { onDone: () => Promise<void> }) {
  const [query] = useSearchParams()
  const seal = query.get('seal') ?? ''
  const [state, setState] = useState<'asking' | 'open' | 'closed' | 'done'>('asking')
  const [why, setWhy] = useState('')
  const [password, setPassword] = useState('')
  const submission = useSubmission()

  useEffect(() => {
    let isGone = false
    accountApi.checkPasswordReset(seal).then(
      () => !isGone && setState('open'),
      (error: Error) => {
        if (isGone) return
        setWhy(error.message)
        setState('closed')
      },
    )
    return () => {
      isGone = true
    }
  }, [seal])

  if (state === 'asking') return <Loading />
  if (state === 'closed') {
    return (
      <Entrance title="This link does not work" text={why}>
        <span className="btn primary justify-self-start">
          <AppLink href="/forgot-password">Ask for a new link</AppLink>
        </span>
      </Entrance>
    )
  }
  if (state === 'done') {
    return (
      <Entrance title="Your password is changed" text="Every session of your account has ended.">
        <span className="btn primary justify-self-start">
          <AppLink href="/login">Sign in</AppLink>
        </span>
      </Entrance>
    )
  }
  return (
    <Entrance title="Choose a new password" text="Every session of your account ends with it.">
      <form
        className="grid gap-4"
        onSubmit={submission.on(async () => {
          await accountApi.resetPassword(seal, password)
          setState('done')
          await onDone()
        })}
      >
        <Problem text={submission.problem} />
        <Input
          name="password"
          label="New password"
          type="password"
          autoComplete="new-password"
          hint="A few words that belong to nobody else make a good one."
          autoFocus
          required
          maxLength={1_000}
          error={submission.errors.password}
          value={password}
          onChange={event => setPassword(event.target.value)}
        />
        <SubmitButton isBusy={submission.isBusy}>Change the password</SubmitButton>
      </form>
    </Entrance>
  )
}
