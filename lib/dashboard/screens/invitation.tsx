/**
 * An invitation, opened with the link from its mail. Who has no account makes one, who has one signs in, who is signed in
 * joins or declines; who is signed in as somebody else is told so.
 */
import { useEffect, useState } from 'react'
import type { Session } from '../api.js'
import { accountApi, type Invitation } from '../api-account.js'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Input } from '../components/input.js'
import { Loading, Problem } from '../components/notice.js'
import { useSubmission } from '../components/submission.js'
import { SubmitButton } from '../components/submit-button.js'
import { placeHref } from '../links.js'
import { useServices } from '../services.js'

interface InvitationScreenProps {
  token: string
  /** Null when nobody is signed in. */
  session: Session | null
  /** Somebody came in or went: asks who is there, then goes to this address. */
  onDone: (goTo: string | null) => Promise<void>
}

export default function InvitationScreen({ token, session, onDone }: InvitationScreenProps) {
  const [invitation, setInvitation] = useState<Invitation | null>(null)
  const [why, setWhy] = useState<string | null>(null)

  useEffect(() => {
    let isGone = false
    accountApi.invitation(token).then(
      found => !isGone && setInvitation(found),
      (error: Error) => !isGone && setWhy(error.message),
    )
    return () => {
      isGone = true
    }
  }, [token])

  if (why !== null) {
    return (
      <Entrance title="This invitation does not work" text={why}>
        <p className="text-sm text-muted">Ask whoever invited you for a new one.</p>
        <AppLink href={session === null ? '/login' : '/'} className="link text-sm">
          {session === null ? 'Sign in' : 'Go to the dashboard'}
        </AppLink>
      </Entrance>
    )
  }
  if (invitation === null) return <Loading />
  const { name, slug } = invitation.organization
  const home = placeHref({ organization: slug, environment: 'production' })
  const accept = async (account: Parameters<typeof accountApi.acceptInvitation>[1]) => {
    await accountApi.acceptInvitation(token, account)
    await onDone(home)
  }
  if (session === null) {
    if (invitation.hasAccount) return <SignInFirst invitation={invitation} token={token} />
    return <NewAccount invitation={invitation} onAccept={accept} />
  }
  if (session.user.email.toLowerCase() !== invitation.email.toLowerCase()) {
    return <SomebodyElse invitation={invitation} session={session} onSignedOut={() => onDone(null)} />
  }
  return (
    <Choice
      title={`Join ${name}`}
      email={session.user.email}
      onAccept={() => accept(null)}
      onDecline={async () => {
        await accountApi.declineInvitation(token)
        await onDone('/')
      }}
    />
  )
}

function NewAccount({
  invitation,
  onAccept,
}: {
  invitation: Invitation
  onAccept: (account: { firstName: string; lastName: string; password: string }) => Promise<void>
}) {
  const [values, setValues] = useState({ firstName: '', lastName: '', password: '' })
  const submission = useSubmission()
  const field = (name: keyof typeof values) => ({
    name,
    value: values[name],
    error: submission.errors[name],
    required: true,
    onChange: (event: { target: { value: string } }) => setValues({ ...values, [name]: event.target.value }),
  })
  return (
    <Entrance title="Create your account" text={`${invitation.organization.name} is inviting you to join.`}>
      <form className="grid gap-4" onSubmit={submission.on(() => onAccept(values))}>
        <Problem text={submission.problem} />
        <Input name="email" label="Email address" type="email" disabled value={invitation.email} readOnly />
        <div className="grid gap-4 sm:grid-cols-2">
          <Input
            {...field('firstName')}
            label="First name"
            autoComplete="given-name"
            autoFocus
            maxLength={100}
          />
          <Input {...field('lastName')} label="Last name" autoComplete="family-name" maxLength={100} />
        </div>
        <Input
          {...field('password')}
          label="Password"
          type="password"
          autoComplete="new-password"
          hint="A few words that belong to nobody else make a good one."
          maxLength={1_000}
        />
        <SubmitButton isBusy={submission.isBusy}>Create account and join</SubmitButton>
      </form>
    </Entrance>
  )
}

function SignInFirst({ invitation, token }: { invitation: Invitation; token: string }) {
  const from = encodeURIComponent(`/signup?token=${encodeURIComponent(token)}`)
  return (
    <Entrance
      title={`Join ${invitation.organization.name}`}
      text={`${invitation.email} has an account already. Sign in with it to join.`}
    >
      <span className="btn primary justify-self-start">
        <AppLink href={`/login?from=${from}`}>Sign in</AppLink>
      </span>
    </Entrance>
  )
}

function SomebodyElse({
  invitation,
  session,
  onSignedOut,
}: {
  invitation: Invitation
  session: Session
  onSignedOut: () => Promise<void>
}) {
  const { api } = useServices()
  const submission = useSubmission()
  const leave = () =>
    void submission.run(async () => {
      await api.signOut()
      await onSignedOut()
    })
  return (
    <Entrance
      title={`Join ${invitation.organization.name}`}
      text={`The invitation is for ${invitation.email}. You are signed in as ${session.user.email}.`}
    >
      <Problem text={submission.problem} />
      <div className="flex flex-wrap gap-3">
        <button type="button" className="button primary" disabled={submission.isBusy} onClick={leave}>
          Sign out and go on
        </button>
        <span className="btn">
          <AppLink href="/">Stay signed in</AppLink>
        </span>
      </div>
    </Entrance>
  )
}

function Choice({
  title,
  email,
  onAccept,
  onDecline,
}: {
  title: string
  email: string
  onAccept: () => Promise<void>
  onDecline: () => Promise<void>
}) {
  const submission = useSubmission()
  return (
    <Entrance title={title} text={`You join as ${email}.`}>
      <Problem text={submission.problem} />
      <div className="flex flex-wrap gap-3">
        <button
          type="button"
          className="button primary"
          disabled={submission.isBusy}
          onClick={() => void submission.run(onAccept)}
        >
          {submission.isBusy && <span className="spinner" />}
          Join
        </button>
        <button
          type="button"
          className="button"
          disabled={submission.isBusy}
          onClick={() => void submission.run(onDecline)}
        >
          Decline
        </button>
      </div>
    </Entrance>
  )
}
