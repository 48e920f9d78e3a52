/**
 * Making an account: the set-up of a fresh server (one step) and signing up (the address first, as it may be taken).
 * Errors with fields are shown at their fields, everything else above the form.
 */
import { useState } from 'react'
import type { SignedOut } from '../api.js'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Input } from '../components/input.js'
import { Problem } from '../components/notice.js'
import { useSubmission } from '../components/submission.js'
import { SubmitButton } from '../components/submit-button.js'
import { useServices } from '../services.js'

interface SignUpScreenProps {
  kind: 'set-up' | 'sign-up'
  known: SignedOut
  onDone: () => Promise<void>
}

export default function SignUpScreen({ kind, known, onDone }: SignUpScreenProps) {
  const { api } = useServices()
  const isSetUp = kind === 'set-up'
  const [step, setStep] = useState<'address' | 'rest'>(isSetUp ? 'rest' : 'address')
  const [hasPromoCode, setHasPromoCode] = useState(false)
  const [values, setValues] = useState<Record<string, string>>({})
  const { errors, isBusy, on, problem } = useSubmission()

  const field = (name: string) => ({
    name,
    value: values[name] ?? '',
    error: errors[name],
    onChange: (event: { target: { value: string } }) => setValues({ ...values, [name]: event.target.value }),
  })

  const submit = async () => {
    const email = (values.email ?? '').trim()
    if (step === 'address') {
      await api.checkNewEmail(email)
      setStep('rest')
      return
    }
    const account = {
      email,
      firstName: values.firstName ?? '',
      lastName: values.lastName ?? '',
      password: values.password ?? '',
      organizationName: values.organizationName ?? '',
      ...(hasPromoCode && values.organizationPromoCode
        ? { organizationPromoCode: values.organizationPromoCode }
        : {}),
    }
    await (isSetUp ? api.setUp(account) : api.signUp(account))
    await onDone()
  }

  if (!isSetUp && !known.signUpEnabled) {
    return (
      <Entrance title="Sign-up is closed" text="Ask an administrator of your organization for an invitation.">
        <AppLink href="/login" className="link">
          Sign in instead
        </AppLink>
      </Entrance>
    )
  }

  return (
    <Entrance
      title={isSetUp ? 'Set up this server' : 'Create an account'}
      text={
        isSetUp
          ? 'The first account owns the organization and can invite everybody else.'
          : 'It comes with an organization of your own.'
      }
    >
      <form className="grid gap-4" onSubmit={on(submit)}>
        <Problem text={problem} />
        <Input
          {...field('email')}
          label="Email address"
          type="email"
          autoComplete="username"
          autoFocus
          required
          readOnly={!isSetUp && step === 'rest'}
        />
        {step === 'rest' && (
          <>
            <div className="grid gap-4 sm:grid-cols-2">
              <Input {...field('firstName')} label="First name" autoComplete="given-name" required />
              <Input {...field('lastName')} label="Last name" autoComplete="family-name" required />
            </div>
            <Input
              {...field('password')}
              label="Password"
              type="password"
              autoComplete="new-password"
              hint="A few words that belong to nobody else make a good one."
              required
            />
            <Input {...field('organizationName')} label="Organization" autoComplete="organization" required />
            {!isSetUp &&
              (hasPromoCode ? (
                <Input {...field('organizationPromoCode')} label="Promo code" />
              ) : (
                <button
                  type="button"
                  className="link justify-self-start"
                  onClick={() => setHasPromoCode(true)}
                >
                  Have a promo code?
                </button>
              ))}
          </>
        )}
        <SubmitButton isBusy={isBusy}>
          {step === 'address' ? 'Continue' : isSetUp ? 'Create the first account' : 'Create account'}
        </SubmitButton>
      </form>
      {!isSetUp && (
        <p className="text-sm text-muted">
          Have an account?{' '}
          <AppLink href="/login" className="link">
            Sign in
          </AppLink>
        </p>
      )}
    </Entrance>
  )
}
