/**
 * Signing in, in two steps on one screen: first the address, then the password. Both are background requests; the
 * address bar changes only after the second has succeeded.
 */
import { type FormEvent, useState } from 'react'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Input } from '../components/input.js'
import { Banner } from '../components/notice.js'
import { useServices } from '../services.js'

export function SignInScreen({
  signUpEnabled,
  onDone,
}: {
  signUpEnabled: boolean
  onDone: () => Promise<void>
}) {
  const { api } = useServices()
  const [step, setStep] = useState<'address' | 'password'>('address')
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (isBusy) return
    setBusy(true)
    setProblem(null)
    try {
      if (step === 'address') {
        await api.checkEmail(email.trim())
        setStep('password')
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
        {problem !== null && (
          <Banner tone="danger" role="alert">
            {problem}
          </Banner>
        )}
        <Input
          name="email"
          label="Email address"
          type="email"
          autoComplete="username"
          autoFocus
          required
          readOnly={step === 'password'}
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
        <button type="submit" className="button primary" disabled={isBusy}>
          {isBusy && <span className="spinner" />}
          {step === 'address' ? 'Continue' : 'Sign in'}
        </button>
        {step === 'password' && (
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
