/** Password and second factor. */
import { useState } from 'react'
import { accountApi } from '../../api-account.js'
import { AppLink } from '../../components/app-link.js'
import { Tick } from '../../components/choice.js'
import { FormDialog } from '../../components/form-dialog.js'
import { Input } from '../../components/input.js'
import { Banner, Problem } from '../../components/notice.js'
import { type ProofAccount, ProofField, useProof } from '../../components/proof-field.js'
import { RecoveryCodes } from '../../components/recovery-codes.js'
import { SecondFactorSetup } from '../../components/second-factor-setup.js'
import { Part, Section } from '../../components/section.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { formatDateTime } from '../../format.js'
import { useLive } from '../../services.js'
import type { SectionProps } from './frame.js'

export default function SecuritySection(props: SectionProps) {
  return (
    <Section title="Security">
      <Password {...props} />
      <SecondFactor {...props} />
    </Section>
  )
}

function Password({ account }: SectionProps) {
  const [current, setCurrent] = useState('')
  const [wanted, setWanted] = useState('')
  const [endsTokens, setEndsTokens] = useState(false)
  const [isChanged, setChanged] = useState(false)
  const submission = useSubmission({ current: 'current-password', password: 'new-password' })
  if (!account.hasPassword) {
    return (
      <Part title="Password" text="Your account has none.">
        <AppLink href="/forgot-password" className="link justify-self-start">
          Choose one with a link by mail
        </AppLink>
      </Part>
    )
  }
  return (
    <Part title="Password" text="All other sessions end when it changes.">
      <form
        className="grid max-w-md gap-4"
        onChange={() => setChanged(false)}
        onSubmit={submission.on(async () => {
          await accountApi.changePassword(current, wanted, endsTokens)
          setCurrent('')
          setWanted('')
          setEndsTokens(false)
          setChanged(true)
        })}
      >
        <Problem text={submission.problem} />
        <Input
          name="current-password"
          label="Current password"
          type="password"
          autoComplete="current-password"
          required
          maxLength={1_000}
          error={submission.errors['current-password']}
          value={current}
          onChange={event => setCurrent(event.target.value)}
        />
        <Input
          name="new-password"
          label="New password"
          type="password"
          autoComplete="new-password"
          hint="A few words that belong to nobody else make a good one."
          required
          maxLength={1_000}
          error={submission.errors['new-password']}
          value={wanted}
          onChange={event => setWanted(event.target.value)}
        />
        <Tick
          id="ends-tokens"
          label="Revoke my access tokens too"
          hint="When somebody else may know the password: scripts that use them stop."
          checked={endsTokens}
          onChange={setEndsTokens}
        />
        <div className="flex flex-wrap items-center gap-4">
          <SubmitButton isBusy={submission.isBusy}>Change the password</SubmitButton>
          <span role="status" className="text-sm text-success">
            {isChanged && 'Changed. All other sessions have ended.'}
          </span>
        </div>
      </form>
    </Part>
  )
}

function SecondFactor({ account, reload }: SectionProps) {
  const { refresh } = useLive()
  const [isSettingUp, setSettingUp] = useState(false)
  const [codes, setCodes] = useState<readonly string[] | null>(null)
  const [asked, setAsked] = useState<'renew' | 'remove' | null>(null)
  const changed = async () => {
    setSettingUp(false)
    await Promise.all([reload(), refresh()])
  }
  const { secondFactor } = account
  if (isSettingUp) {
    return (
      <Part title="Set up a second factor">
        <SecondFactorSetup account={account} onDone={changed} onCancel={() => setSettingUp(false)} />
      </Part>
    )
  }
  if (codes !== null) {
    return (
      <Part title="New recovery codes" text="The old ones open nothing any more.">
        <RecoveryCodes codes={codes} email={account.email} onKept={() => setCodes(null)} />
      </Part>
    )
  }
  if (secondFactor === null) {
    return (
      <Part
        title="Second factor"
        text="Besides your password, signing in then takes a code of an app on your phone. A stolen password alone opens nothing."
      >
        <button
          type="button"
          className="button primary justify-self-start"
          onClick={() => setSettingUp(true)}
        >
          Set up a second factor
        </button>
      </Part>
    )
  }
  return (
    <Part
      title="Second factor"
      text={
        secondFactor.kind === 'TOTP'
          ? `On since ${formatDateTime(new Date(secondFactor.since))}. ${leftWords(secondFactor.recoveryCodesLeft)}`
          : 'Registered by an operator.'
      }
    >
      {secondFactor.kind === 'TOTP' && secondFactor.recoveryCodesLeft < 3 && (
        <Banner tone="warning">Make new recovery codes before you run out of them.</Banner>
      )}
      <div className="flex flex-wrap gap-3">
        {secondFactor.kind === 'TOTP' && (
          <button type="button" className="button" onClick={() => setAsked('renew')}>
            New recovery codes
          </button>
        )}
        <button type="button" className="button" onClick={() => setAsked('remove')}>
          Switch it off
        </button>
      </div>
      {asked !== null && (
        <AskedDialog
          isRemoving={asked === 'remove'}
          account={account}
          onClose={() => setAsked(null)}
          onRenewed={async made => {
            setCodes(made)
            await reload()
          }}
          onRemoved={changed}
        />
      )}
    </Part>
  )
}

function AskedDialog({
  isRemoving,
  account,
  onClose,
  onRenewed,
  onRemoved,
}: {
  isRemoving: boolean
  account: ProofAccount
  onClose: () => void
  onRenewed: (codes: readonly string[]) => Promise<void>
  onRemoved: () => Promise<void>
}) {
  const proof = useProof('dialog-proof', account)
  return (
    <FormDialog
      title={isRemoving ? 'Switch the second factor off?' : 'Make new recovery codes?'}
      submit={isRemoving ? 'Switch it off' : 'Make new codes'}
      dismissal={isRemoving ? 'Keep it on' : 'Cancel'}
      isDangerous={isRemoving}
      fields={{ password: 'dialog-proof', code: 'dialog-proof' }}
      onClose={onClose}
      onSubmit={async () => {
        if (!isRemoving) return onRenewed(await accountApi.renewRecoveryCodes(proof.proof))
        await accountApi.removeSecondFactor(proof.proof)
        await onRemoved()
      }}
    >
      {errors => (
        <>
          <p className="text-muted">
            {isRemoving
              ? 'Your password alone opens your account then. Organizations that ask for a second factor close to you.'
              : 'The codes you have kept open nothing from then on.'}
          </p>
          <ProofField entry={proof} error={errors['dialog-proof']} />
        </>
      )}
    </FormDialog>
  )
}

function leftWords(count: number): string {
  return count === 1 ? 'One recovery code is left.' : `${count} recovery codes are left.`
}
