/**
 * CONFIRM_IDENTITY: the person enters their password, or a code of their second factor, once more. Whether that is
 * needed is for the server to say: where the action lets an earlier proof count, the answer is sent at once, and only
 * when it is refused the question appears. The same where this window is wrong about anything else.
 */
import { type FormEvent, useEffect, useRef, useState } from 'react'
import { accountApi, type ProofKind } from '../api-account.js'
import { proofChannel, proofHref } from '../api-sign-on.js'
import { DialogFrame } from '../components/dialog-frame.js'
import { Input } from '../components/input.js'
import { Problem } from '../components/notice.js'
import { RequestError } from '../connection.js'
import { textOf } from '../props.js'
import { type FieldProps, immediateMethod } from './method.js'

export const confirmIdentity = immediateMethod(ConfirmIdentity)

function ConfirmIdentity({ id, component, step, isDisabled, error, onAnswer }: FieldProps<unknown>) {
  const alwaysAsks = component.props.gracePeriodMs === 0
  const [outcome, setOutcome] = useState<boolean | null>(null)
  const [isAsking, setAsking] = useState(alwaysAsks)
  const wasTried = useRef(alwaysAsks)
  const answer = (value: boolean) => {
    setOutcome(value)
    onAnswer?.(value)
  }
  const latest = useRef(answer)
  latest.current = answer

  useEffect(() => {
    if (isDisabled || wasTried.current) return
    wasTried.current = true
    latest.current(true)
  }, [isDisabled])
  useEffect(() => {
    if (error === null) return
    setOutcome(null)
    setAsking(true)
  }, [error])

  if (!isDisabled && isAsking) {
    return (
      <ProofDialog
        id={id}
        label={component.label}
        help={textOf(component.props, 'helpText')}
        step={step}
        onDone={answer}
      />
    )
  }
  if (!isDisabled || outcome === null) return <span className="spinner text-muted" />
  return (
    <p role="status" className="text-sm text-muted">
      {outcome ? 'You proved who you are.' : 'You did not prove who you are.'}
    </p>
  )
}

function ProofDialog({
  id,
  label,
  help,
  step,
  onDone,
}: {
  id: string
  label: string
  help: string | undefined
  step: string
  onDone: (isConfirmed: boolean) => void
}) {
  const [kind, setKind] = useState<ProofKind | undefined>(undefined)
  const [organization, setOrganization] = useState<string | null>(null)
  const [entered, setEntered] = useState('')
  const [problem, setProblem] = useState<string | null>(null)
  const [fieldProblem, setFieldProblem] = useState<string | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)

  useEffect(() => {
    let isGone = false
    accountApi
      .proofWays()
      .then(known => {
        if (isGone) return
        setKind(known.kind)
        setOrganization(known.organization)
      })
      .catch((error: Error) => {
        if (isGone) return
        setProblem(error.message)
        setKind('password')
      })
    return () => {
      isGone = true
    }
  }, [])

  // Given at the provider, in another window. Whether it was is for the server to say.
  const done = useRef(onDone)
  done.current = onDone
  useEffect(() => {
    const channel = new BroadcastChannel(proofChannel)
    channel.onmessage = () => done.current(true)
    return () => channel.close()
  }, [])

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    // The dialog is drawn elsewhere, but React hands the event on to the step's own form.
    event.stopPropagation()
    if (isBusy || !kind) return
    setBusy(true)
    setProblem(null)
    setFieldProblem(undefined)
    try {
      await accountApi.confirmIdentity({ [kind]: entered }, step)
      onDone(true)
    } catch (error) {
      // What was typed meanwhile is another attempt.
      setEntered(now => (now === entered ? '' : now))
      const atField = error instanceof RequestError ? error.fields[kind] : undefined
      if (atField !== undefined) setFieldProblem(atField)
      else setProblem(error instanceof Error ? error.message : 'Something went wrong.')
      document.getElementById(`input-${id}`)?.focus()
    } finally {
      setBusy(false)
    }
  }

  return (
    <DialogFrame
      title="Please confirm your identity to continue"
      text={label}
      modal
      hideOnInteractOutside={false}
      onClose={event => {
        event.preventDefault()
        onDone(false)
      }}
      data-iv-dialog=""
    >
      {help !== undefined && <p className="text-sm text-muted">{help}</p>}
      <form className="grid gap-4" onSubmit={submit}>
        <Problem text={problem} />
        {organization !== null && (
          <a className="button" href={proofHref(organization, step)} target="_blank" rel="noreferrer">
            Confirm with single sign-on
          </a>
        )}
        {kind === null && organization !== null ? null : kind === null ? (
          <p>
            Your account has neither a password nor an authenticator app.{' '}
            <a className="link" href="/account/security" target="_blank" rel="noreferrer">
              Set one up
            </a>{' '}
            and come back.
          </p>
        ) : (
          <Input
            key={kind}
            name={id}
            label={kind === 'code' ? 'Authenticator code' : 'Password'}
            type={kind === 'code' ? 'text' : 'password'}
            inputMode={kind === 'code' ? 'numeric' : undefined}
            autoComplete={kind === 'code' ? 'one-time-code' : 'current-password'}
            {...(kind === 'code' && { hint: 'Six digits of your app, or a recovery code.' })}
            disabled={kind === undefined}
            autoFocus
            required
            maxLength={1_000}
            error={fieldProblem}
            value={entered}
            onChange={event => setEntered(event.target.value)}
          />
        )}
        <div className="flex flex-wrap justify-end gap-3">
          <button type="button" className="button" onClick={() => onDone(false)}>
            Cancel
          </button>
          {kind !== null && (
            <button type="submit" className="button primary" disabled={isBusy || kind === undefined}>
              {isBusy && <span className="spinner" />}
              Verify
            </button>
          )}
        </div>
      </form>
    </DialogFrame>
  )
}
