/** The part of the JSON API that is about access tokens: what a person's scripts present in place of a session. */
import { callApi, listOf } from './api.js'

export type TokenScope = 'read' | 'write'

export interface AccessToken {
  id: string
  name: string
  /** How its text begins, to tell it apart. */
  prefix: string
  scope: TokenScope
  expiresAt: string
  lastUsedAt: string | null
}

const path = '/api/v1/access-tokens'

export const tokensApi = {
  async tokens(): Promise<AccessToken[]> {
    return listOf(await callApi('GET', path), 'tokens') as unknown as AccessToken[]
  },

  /** The text is told this once. */
  async create(wanted: { name: string; scope: TokenScope; days: number }): Promise<string> {
    return String((await callApi('POST', path, wanted)).token)
  },

  async revoke(id: string): Promise<void> {
    await callApi('DELETE', `${path}/${encodeURIComponent(id)}`)
  },
}
