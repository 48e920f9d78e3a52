/**
 * People switch their second factor on and off themselves. Each step asks for a proof of who they are; whoever finds an
 * open session can do neither, nor who has the password besides: once there is a second factor, a code of it is the proof
 * for putting another one in its place, for new recovery codes, and for switching it off.
 *
 * Invariant: it is on only after a code of it was entered, so that nobody locks themselves out; from then on every other
 * session of the person waits for a code too.
 */
import { AppError } from '../errors.js'
import type { AccountParts } from './account-parts.js'
import type { ClientIdentity } from './contract.js'
import { holdProven, type IdentityProofs, type Proof } from './identity-proofs.js'
import { tellPerson } from './person-mails.js'
import { demandSecondFactor } from './sessions.js'
import type { Origin } from './sign-in.js'

export interface SecondFactorSetup {
  /** Begins: the secret for the person's app, as text and as a link for a QR code. */
  beginSecondFactor(
    who: ClientIdentity,
    proof: Proof,
    origin: Origin,
  ): Promise<{ secret: string; url: string }>
  /** Switches on what was begun. Recovery codes are told this once. Rejects with `invalid-value` for a wrong code. */
  finishSecondFactor(who: ClientIdentity, code: string, origin: Origin): Promise<readonly string[]>
  renewRecoveryCodes(who: ClientIdentity, proof: Proof, origin: Origin): Promise<readonly string[]>
  removeSecondFactor(who: ClientIdentity, proof: Proof, origin: Origin): Promise<void>
}

export function createSecondFactorSetup(
  parts: AccountParts,
  { prove }: Pick<IdentityProofs, 'prove'>,
): SecondFactorSetup {
  const { database, clock, audit, identities, secondFactors } = parts

  const note = (name: string, who: ClientIdentity, origin: Origin): void =>
    audit.record({ name, userId: who.user.id, address: origin.address })

  return {
    async beginSecondFactor(who, proof, origin) {
      const person = await prove(who, proof, origin)
      return database.transaction(async client => {
        await holdProven(client, person)
        return secondFactors.begin(client, person, clock.nowMs())
      })
    },

    async finishSecondFactor(who, code, origin) {
      const done = await database.transaction(async client => {
        const recoveryCodes = await secondFactors.finish(client, who.user.id, code, clock.nowMs())
        // What was counted stays counted.
        if (!recoveryCodes) return null
        await tellPerson(client, who.user.email, {
          subject: 'A second factor was switched on',
          paragraphs: ['From now on signing in to your account takes a code of your authenticator app.'],
        })
        const ended = await demandSecondFactor(client, who.user.id, who.sessionId, clock.nowMs())
        return { recoveryCodes, ended }
      })
      if (!done) {
        const message = 'The code is wrong. Codes change every 30 seconds: enter the one that is shown now.'
        throw new AppError('invalid-value', message, { fields: { code: message } })
      }
      identities.announce({ sessions: done.ended })
      identities.forgetRights()
      note('second-factor.switched-on', who, origin)
      return done.recoveryCodes
    },

    async renewRecoveryCodes(who, proof, origin) {
      const person = await prove(who, proof, origin)
      const recoveryCodes = await database.transaction(async client => {
        await holdProven(client, person)
        return secondFactors.renewRecoveryCodes(client, person.id)
      })
      if (!recoveryCodes) throw new AppError('not-found', 'There is no second factor.')
      note('second-factor.recovery-codes-renewed', who, origin)
      return recoveryCodes
    },

    async removeSecondFactor(who, proof, origin) {
      const person = await prove(who, proof, origin)
      const wasOn = await database.transaction(async client => {
        await holdProven(client, person)
        const { rowCount } = await client.query('delete from second_factors where person_id = $1', [
          who.user.id,
        ])
        if (rowCount !== 1) return false
        await tellPerson(client, who.user.email, {
          subject: 'Your second factor was switched off',
          paragraphs: ['From now on your password alone opens your account.'],
        })
        return true
      })
      if (!wasOn) throw new AppError('not-found', 'There is no second factor.')
      identities.forgetRights()
      note('second-factor.switched-off', who, origin)
    },
  }
}
