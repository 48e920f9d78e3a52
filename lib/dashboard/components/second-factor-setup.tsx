/**
 * Setting up a second factor, in three steps: prove who you are, add the secret to an app and enter its first code, keep
 * the recovery codes. It is on after the second step.
 */
import { useEffect, useState } from 'react'
import { accountApi, type OwnAccount } from '../api-account.js'
import { CopyButton } from './copy-button.js'
import { Input } from './input.js'
import { Problem } from './notice.js'
import { type ProofAccount, ProofField, useProof } from './proof-field.js'
import { RecoveryCodes } from './recovery-codes.js'
import { useSubmission } from './submission.js'
import { SubmitButton } from './submit-button.js'

export function SecondFactorSetup({
  account,
  onDone,
  onCancel,
}: {
  account: Pick<OwnAccount, 'email' | 'secondFactor'>
  /** The codes were kept. */
  onDone: () => Promise<void> | void
  onCancel?: () => void
}) {
  const [begun, setBegun] = useState<{ secret: string; url: string } | null>(null)
  const [codes, setCodes] = useState<readonly string[] | null>(null)
  if (codes !== null)
    return <RecoveryCodes codes={codes} email={account.email} onKept={() => void onDone()} />
  if (begun !== null) {
    return <FirstCode begun={begun} onCodes={setCodes} onBack={() => setBegun(null)} />
  }
  return <Begin account={account} onBegun={setBegun} onCancel={onCancel} />
}

function Begin({
  account,
  onBegun,
  onCancel,
}: {
  account: ProofAccount
  onBegun: (begun: { secret: string; url: string }) => void
  onCancel: (() => void) | undefined
}) {
  const proof = useProof('begin-proof', account)
  const submission = useSubmission({ password: 'begin-proof', code: 'begin-proof' })
  return (
    <form
      className="grid max-w-md gap-4"
      onSubmit={submission.on(async () => onBegun(await accountApi.beginSecondFactor(proof.proof)))}
    >
      <Problem text={submission.problem} />
      <ProofField entry={proof} error={submission.errors['begin-proof']} />
      <div className="flex flex-wrap gap-3">
        <SubmitButton isBusy={submission.isBusy}>Continue</SubmitButton>
        {onCancel && (
          <button type="button" className="button plain" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  )
}

function FirstCode({
  begun,
  onCodes,
  onBack,
}: {
  begun: { secret: string; url: string }
  onCodes: (codes: readonly string[]) => void
  onBack: () => void
}) {
  const [code, setCode] = useState('')
  const submission = useSubmission()
  const picture = useQrCode(begun.url)
  const spaced = begun.secret.replace(/(.{4})(?=.)/g, '$1 ')
  return (
    <form
      className="grid max-w-md gap-4"
      onSubmit={submission.on(async () => onCodes(await accountApi.finishSecondFactor(code)))}
    >
      <Problem text={submission.problem} />
      <p>Scan this with an authenticator app, or type the secret into it.</p>
      <div className="grid size-48 place-items-center rounded-control border border-line bg-white p-3">
        {picture === null ? (
          <span className="spinner text-black" />
        ) : (
          <img src={picture} width={168} height={168} alt="QR code for your authenticator app" />
        )}
      </div>
      <div className="flex flex-wrap items-center gap-3">
        <code data-secret={begun.secret} className="font-mono text-sm break-all">
          {spaced}
        </code>
        <CopyButton text={begun.secret} />
      </div>
      <Input
        name="code"
        label="Code that the app shows now"
        type="text"
        inputMode="numeric"
        autoComplete="one-time-code"
        autoFocus
        required
        maxLength={20}
        error={submission.errors.code}
        value={code}
        onChange={event => setCode(event.target.value)}
      />
      <div className="flex flex-wrap gap-3">
        <SubmitButton isBusy={submission.isBusy}>Switch it on</SubmitButton>
        <button type="button" className="button plain" onClick={onBack}>
          Back
        </button>
      </div>
    </form>
  )
}

/** The text as a picture, once the library for it is loaded. */
function useQrCode(text: string): string | null {
  const [picture, setPicture] = useState<string | null>(null)
  useEffect(() => {
    let isGone = false
    import('qrcode')
      .then(({ toString: draw }) => draw(text, { type: 'svg', margin: 0 }))
      .then(
        svg => {
          if (!isGone) setPicture(`data:image/svg+xml;base64,${btoa(svg)}`)
        },
        // The secret can be typed.
        () => undefined,
      )
    return () => {
      isGone = true
    }
  }, [text])
  return picture
}
