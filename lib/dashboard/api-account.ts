/** The part of the JSON API that is about the person who is signed in: their account, and proofs of who they are. */
import { callApi } from './api.js'

/** What a person can prove themselves with once more; null when there is nothing. */
export type ProofKind = 'password' | 'code' | null

/** One of the two. */
export interface Proof {
  password?: string
  code?: string
}

export class AccountApi {
  /** What this person is asked for when they have to prove who they are. */
  async proofKind(): Promise<ProofKind> {
    const { proof } = await callApi('GET', '/api/v1/session/identity')
    return proof === 'password' || proof === 'code' ? proof : null
  }

  /** Proves it for a step of an action. Rejects with `bad-credentials`, with the field. */
  async confirmIdentity(proof: Proof, step: string): Promise<void> {
    await callApi('POST', '/api/v1/session/identity', { ...proof, step })
  }
}

export const accountApi = new AccountApi()
