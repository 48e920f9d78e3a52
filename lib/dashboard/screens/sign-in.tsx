/**
 * Signing in, in two steps on one screen: first the address, then the password, or the provider of the address's
 * organization. The steps are background requests; the address bar changes only after the second has succeeded, or when
 * the browser leaves for a provider.
 */
import { type FormEvent, useState } from 'react'
import { useSearchParams } from 'react-router'
import type { SignedOut } from '../api.js'
import { googleHref, signOnHref, signOnProblem } from '../api-sign-on.js'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Input } from '../components/input.js'
import { Problem } from '../components/notice.js'
import { SubmitButton } from '../components/submit-button.js'
import { useServices } from '../services.js'

export function SignInScreen({
  known: { signUpEnabled, hasGoogle },
  from,
  onDone,
}: {
  known: SignedOut
  /** Where the person was going. */
  from: string | null
  onDone: () => Promise<void>
}) {
  const { api } = useServices()
  const [step, setStep] = useState<'address' | 'password' | 'sign-on'>('address')
  const [hasSignOn, setHasSignOn] = useState(false)
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [query] = useSearchParams()
  const [problem, setProblem] = useState(() => signOnProblem(query.get('problem')))

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (isBusy) return
    setBusy(true)
    setProblem(null)
    try {
      if (step === 'address') {
        const signOn = await api.checkEmail(email.trim())
        setHasSignOn(signOn !== null)
        setStep(signOn?.required ? 'sign-on' : 'password')
      } else if (step === 'sign-on') {
        window.location.assign(signOnHref(email.trim(), from))
      } else {
        await api.signIn(email.trim(), password)
        await onDone()
      }
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    } finally {
      setBusy(false)
    }
  }

  return (
    <Entrance title="Sign in" text="Use the account of your organization.">
      <form className="grid gap-4" onSubmit={submit}>
        <Problem text={problem} />
        <Input
          name="email"
          label="Email address"
          type="email"
          autoComplete="username"
          autoFocus
          required
          readOnly={step !== 'address'}
          value={email}
          onChange={event => setEmail(event.target.value)}
        />
        {step === 'password' && (
          <Input
            name="password"
            label="Password"
            type="password"
            autoComplete="current-password"
            autoFocus
            required
            value={password}
            onChange={event => setPassword(event.target.value)}
          />
        )}
        <SubmitButton isBusy={isBusy}>{submitLabels[step]}</SubmitButton>
        {step === 'password' && hasSignOn && (
          <a className="button" href={signOnHref(email.trim(), from)}>
            Continue with single sign-on
          </a>
        )}
        {step === 'address' && hasGoogle && (
          <a className="button" href={googleHref(from)}>
            Continue with Google
          </a>
        )}
        {step === 'sign-on' && (
          <button
            type="button"
            className="button plain"
            onClick={() => {
              setStep('password')
              setProblem(null)
            }}
          >
            Use a password
          </button>
        )}
        {step !== 'address' && (
          <button
            type="button"
            className="button plain"
            onClick={() => {
              setStep('address')
              setPassword('')
              setProblem(null)
            }}
          >
            Use another address
          </button>
        )}
      </form>
      <p className="text-sm">
        <AppLink href="/forgot-password" className="link">
          Forgot your password?
        </AppLink>
      </p>
      {signUpEnabled && (
        <p className="text-sm text-muted">
          New here?{' '}
          <AppLink href="/signup" className="link">
            Create an account
          </AppLink>
        </p>
      )}
    </Entrance>
  )
}

const submitLabels = {
  address: 'Continue',
  password: 'Sign in',
  'sign-on': 'Continue with single sign-on',
} as const
