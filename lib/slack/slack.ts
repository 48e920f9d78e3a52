/**
 * Slack's web API, as far as it is needed: an app is let into a workspace, and writes to channels and people.
 * https://docs.slack.dev/reference/methods
 *
 * What can go wrong: Slack is away or wants us slower, which passes; or says no for good, in words of its own, which
 * people are shown in ours.
 */
import { z } from 'zod'
import { answerText } from '../answer-text.js'
import type { Secret } from '../log.js'

const requestMsMax = 15_000
const answerBytesMax = 262_144
export const slackScopes =
  'chat:write,chat:write.public,im:write,channels:read,groups:read,users:read,users:read.email'

export interface SlackSettings {
  readonly clientId: string
  readonly clientSecret: Secret
  /** Origin of Slack. */
  readonly url: string
}

/** `gone`: the workspace has thrown the app out. */
export type SlackResult =
  | { readonly is: 'sent' }
  | { readonly is: 'refused' | 'gone' | 'later'; readonly reason: string }

const answerShape = z.object({ ok: z.boolean(), error: z.string().max(200).optional() })
const accessShape = answerShape.extend({
  access_token: z.string().max(1_000).optional(),
  team: z.object({ id: z.string().max(100), name: z.string().max(200) }).nullish(),
})
const userShape = answerShape.extend({ user: z.object({ id: z.string().max(100) }).optional() })

const goneErrors = new Set([
  'account_inactive',
  'token_revoked',
  'token_expired',
  'invalid_auth',
  'not_authed',
])
const passingErrors = new Set([
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'request_timeout',
  'service_unavailable',
])
const words: Readonly<Record<string, string>> = {
  channel_not_found: 'There is no such channel in Slack.',
  not_in_channel: 'The app is not in this channel of Slack. Invite it there.',
  is_archived: 'This channel of Slack is archived.',
  users_not_found: 'Nobody in Slack has this address.',
}

export class Slack {
  readonly #settings: SlackSettings

  constructor(settings: SlackSettings) {
    this.#settings = settings
  }

  /** Where somebody lets the app into their workspace. */
  authorizeUrl(state: string, redirectUri: string): string {
    const url = new URL('/oauth/v2/authorize', this.#settings.url)
    url.search = new URLSearchParams({
      client_id: this.#settings.clientId,
      scope: slackScopes,
      state,
      redirect_uri: redirectUri,
    }).toString()
    return url.toString()
  }

  /** Turns the code of an authorization into a token. Null when Slack does not take the code. */
  async exchange(code: string, redirectUri: string): Promise<{ token: string; workspace: string } | null> {
    const { clientId, clientSecret } = this.#settings
    const answer = await this.#call(accessShape, 'oauth.v2.access', {
      client_id: clientId,
      client_secret: clientSecret.reveal(),
      code,
      redirect_uri: redirectUri,
    })
    if (!answer.ok || answer.access_token === undefined) return null
    return { token: answer.access_token, workspace: answer.team?.name ?? 'Slack' }
  }

  /** Writes to `#channel`, or to the person with this address. Never rejects. */
  async post(token: Secret, to: string, text: string): Promise<SlackResult> {
    try {
      let channel = to
      if (!to.startsWith('#')) {
        const found = await this.#call(userShape, 'users.lookupByEmail', { email: to }, token)
        if (!found.ok || !found.user) return resultOf(found.error ?? 'users_not_found')
        channel = found.user.id
      }
      const answer = await this.#call(
        answerShape,
        'chat.postMessage',
        { channel, text, unfurl_links: 'false' },
        token,
      )
      return answer.ok ? { is: 'sent' } : resultOf(answer.error ?? 'unknown_error')
    } catch {
      return { is: 'later', reason: 'Slack did not answer.' }
    }
  }

  async #call<Answer>(
    shape: z.ZodType<Answer>,
    method: string,
    parameters: Record<string, string>,
    token?: Secret,
  ): Promise<Answer> {
    const response = await fetch(new URL(`/api/${method}`, this.#settings.url), {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(token && { authorization: `Bearer ${token.reveal()}` }),
      },
      body: new URLSearchParams(parameters),
      redirect: 'error',
      signal: AbortSignal.timeout(requestMsMax),
    })
    if (response.status === 429) {
      await response.body?.cancel()
      return shape.parse({ ok: false, error: 'ratelimited' })
    }
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`Slack answered ${response.status}.`)
    }
    return shape.parse(JSON.parse(await answerText(response, answerBytesMax)))
  }
}

function resultOf(error: string): SlackResult {
  if (goneErrors.has(error)) return { is: 'gone', reason: 'Slack is not connected any more.' }
  if (passingErrors.has(error)) return { is: 'later', reason: `Slack said: ${error}` }
  return { is: 'refused', reason: words[error] ?? `Slack said: ${error}` }
}

/** Text as Slack takes it: its three characters that mean something are escaped, so that nothing in it is a link or a call. */
export function slackText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** A link, of an address that we have made. */
export function slackLink(url: string, label: string): string {
  return `<${url}|${slackText(label).replaceAll('|', ' ')}>`
}
