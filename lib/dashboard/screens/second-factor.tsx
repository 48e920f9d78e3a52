/** The second step of signing in, for who has a second factor: a code of their app, or one of their recovery codes. */
import { type FormEvent, useState } from 'react'
import { Entrance } from '../components/entrance.js'
import { Input } from '../components/input.js'
import { Problem } from '../components/notice.js'
import { SubmitButton } from '../components/submit-button.js'
import { RequestError } from '../connection.js'
import { useServices } from '../services.js'

export function SecondFactorScreen({ onDone }: { onDone: () => Promise<void> }) {
  const { api } = useServices()
  const [kind, setKind] = useState<'app' | 'recovery'>('app')
  const [code, setCode] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)

  const attempt = async (work: () => Promise<void>) => {
    if (isBusy) return
    setBusy(true)
    setProblem(null)
    try {
      await work()
      await onDone()
    } catch (error) {
      setCode('')
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
      // The first step is over: back to the password.
      if (error instanceof RequestError && error.code === 'not-signed-in') await onDone()
    } finally {
      setBusy(false)
    }
  }

  const submit = (event: FormEvent) => {
    event.preventDefault()
    void attempt(() => api.enterSecondFactor(code))
  }

  return (
    <Entrance
      title="Confirm it is you"
      text={
        kind === 'app'
          ? 'Enter the six digits that your authenticator app shows now.'
          : 'Enter one of the recovery codes that you kept. Each works once.'
      }
    >
      <form className="grid gap-4" onSubmit={submit}>
        <Problem text={problem} />
        <Input
          key={kind}
          name="code"
          label={kind === 'app' ? 'Code' : 'Recovery code'}
          type="text"
          inputMode={kind === 'app' ? 'numeric' : 'text'}
          autoComplete={kind === 'app' ? 'one-time-code' : 'off'}
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
          required
          maxLength={32}
          value={code}
          onChange={event => setCode(event.target.value)}
        />
        <SubmitButton isBusy={isBusy}>Sign in</SubmitButton>
        <button
          type="button"
          className="button plain"
          onClick={() => {
            setKind(kind === 'app' ? 'recovery' : 'app')
            setCode('')
            setProblem(null)
          }}
        >
          {kind === 'app' ? 'Use a recovery code' : 'Use the authenticator app'}
        </button>
        <button type="button" className="button plain" onClick={() => void attempt(() => api.signOut())}>
          Sign in as somebody else
        </button>
      </form>
    </Entrance>
  )
}
