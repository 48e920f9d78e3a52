/**
 * Proving once more who one is, in a session that is open: by the password, or by a code of the second factor. Changes
 * to one's own account ask for it, and so do actions (`io.confirmIdentity`).
 *
 * Invariant: nothing is taken for a proof but what was entered here; guesses are counted together with those of the
 * sign-in, so that an open session is no way around its limits. What can go wrong: password or second factor change while
 * a proof is looked at. Whoever changes an account by it holds the person first, and looks again (`holdProven`).
 */
import type { Database, Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId, SessionId } from '../ids.js'
import type { Audit } from './audit.js'
import type { Clock } from './clock.js'
import type { ClientIdentity } from './contract.js'
import type { Rank } from './hash-queue.js'
import { type Attempt, type LoginLimits, lookedAt, refusalReason } from './login-limits.js'
import type { Passwords } from './passwords.js'
import { lockPerson, type PersonRow, personById } from './people.js'
import type { SecondFactors } from './second-factors.js'
import type { Origin } from './sign-in.js'

/** One of the two. */
export interface Proof {
  readonly password?: string | undefined
  readonly code?: string | undefined
}

/** What a person can prove themselves with; null when there is nothing. */
export type ProofKind = 'password' | 'code' | null

export interface IdentityProofs {
  /** The strongest there is: a code for who has a second factor, else the password. */
  proofKind(who: ClientIdentity): Promise<ProofKind>
  /**
   * By the strongest there is. Rejects with `bad-credentials` (naming the field) when it is wrong, `too-many-requests`
   * after too many wrong ones.
   */
  prove(who: ClientIdentity, proof: Proof, origin: Origin): Promise<PersonRow>
  /** Proves it for actions. `step` names the step it is for, as `<transaction>/<group>`. */
  confirmIdentity(who: ClientIdentity, proof: Proof, step: string | null, origin: Origin): Promise<void>
  /**
   * The last proof for actions of this organization in this session: how long ago, and whether it was for this step. Null
   * for none; what the provider of another organization says is none.
   */
  lastProof(
    sessionId: SessionId,
    step: string,
    organizationId: OrganizationId,
  ): Promise<{ ageMs: number; isForStep: boolean } | null>
}

export interface IdentityProofsOptions {
  readonly database: Database
  readonly clock: Clock
  readonly audit: Audit
  readonly passwords: Passwords
  readonly secondFactors: SecondFactors
  readonly attempts: LoginLimits
}

export function createIdentityProofs(options: IdentityProofsOptions): IdentityProofs {
  const { database, clock, audit, passwords, secondFactors, attempts } = options

  const personOfSession = async (who: ClientIdentity): Promise<PersonRow> => {
    const person = await personById(database, who.user.id)
    if (!person) throw new AppError('not-signed-in')
    return person
  }

  const kindOf = async (person: PersonRow): Promise<ProofKind> => {
    if (await hasCodes(database, person)) return 'code'
    return person.password === null ? null : 'password'
  }

  const isRight = async (person: PersonRow, kind: ProofKind, proof: Proof, rank: Rank): Promise<boolean> => {
    if (kind === 'code')
      return (await secondFactors.use(database, person.id, proof.code ?? '', clock.nowMs())) !== null
    return (await passwords.verify(proof.password ?? '', person.password, rank)).matches
  }

  const prove: IdentityProofs['prove'] = async (who, proof, origin) => {
    const person = await personOfSession(who)
    const kind = await kindOf(person)
    if (kind === null) {
      throw new AppError(
        'forbidden',
        'Your account has neither a password nor a second factor to prove it with.',
      )
    }
    const field = kind === 'code' ? 'code' : 'password'
    if ((proof[field] ?? '') === '') {
      const message = kind === 'code' ? 'Enter a code of your second factor.' : 'Enter your password.'
      throw new AppError('invalid-value', message, { fields: { [field]: message } })
    }
    const refuse = (reason: string): void =>
      audit.record({
        name: 'session.refused',
        userId: person.id,
        address: origin.address,
        details: { reason },
      })
    let isProof: boolean
    let attempt: Attempt
    try {
      // As at the sign-in: guesses here and there count together.
      attempt =
        kind === 'code'
          ? await attempts.attempt(`second factor ${person.email}`, origin.address)
          : await attempts.attempt(person.email, origin.address, passwords.requireRoom)
      const { rank } = attempt
      isProof = await lookedAt(attempt, () => isRight(person, kind, proof, rank))
    } catch (error) {
      const reason = refusalReason(error)
      if (reason !== undefined) refuse(reason)
      throw error
    }
    if (!isProof) {
      refuse(kind === 'code' ? 'wrong code' : 'wrong password')
      const message = kind === 'code' ? 'The code is wrong or was used before.' : 'The password is wrong.'
      throw new AppError('bad-credentials', message, { fields: { [field]: message } })
    }
    await attempt.succeeded()
    return person
  }

  return {
    prove,
    proofKind: async who => kindOf(await personOfSession(who)),

    async confirmIdentity(who, proof, step, origin) {
      const person = await prove(who, proof, origin)
      await database.query(
        `update sessions set identity_confirmed_at = $2, identity_confirmed_for = $3, identity_confirmed_through = null
         where id = $1`,
        [who.sessionId, new Date(clock.nowMs()), step],
      )
      const details = { session: who.sessionId }
      audit.record({ name: 'identity.confirmed', userId: person.id, address: origin.address, details })
    },

    async lastProof(sessionId, step, organizationId) {
      const { rows } = await database.query<{ at: Date; is_for_step: boolean }>(
        `select identity_confirmed_at as at, coalesce(identity_confirmed_for = $2, false) as is_for_step
         from sessions where id = $1 and identity_confirmed_at is not null and not second_factor_due
           and (identity_confirmed_through is null or identity_confirmed_through = $3)`,
        [sessionId, step, organizationId],
      )
      const row = rows[0]
      // Another node's clock may be a little ahead.
      return row ? { ageMs: Math.max(0, clock.nowMs() - row.at.getTime()), isForStep: row.is_for_step } : null
    },
  }
}

/**
 * Holds somebody who has proven themselves until what they proved it for is done. Rejects with `conflict` when something
 * else would prove it by now: a password that was entered before there was a second factor changes nothing about that.
 */
export async function holdProven(client: Queryable, proven: PersonRow): Promise<void> {
  const now = await lockPerson(client, proven.id)
  if (now?.password === proven.password && now.second_factor_id === proven.second_factor_id) return
  throw new AppError('conflict', 'Your password or second factor was just changed. Try again.')
}

/** True when there is an app to make codes, not only a name for a system of the operator's own. */
async function hasCodes(client: Queryable, person: PersonRow): Promise<boolean> {
  if (person.second_factor_id === null) return false
  const { rowCount } = await client.query(
    `select from second_factors where person_id = $1 and kind = 'TOTP'`,
    [person.id],
  )
  return rowCount === 1
}
