/**
 * What an SDK of a given name and version understands, as named claims.
 *
 * The versions of the two SDKs are unrelated: every gate is given for Node, and the Python SDK passes all of them
 * whatever it calls its version (it says `???` when its package data is missing). Compared as semantic versions, never
 * as text: `10.0.0` is newer than `2.0.0`.
 */
import semver from 'semver'
import type { HostMethodName } from './methods.js'

const nodeName = '@interval/sdk'
const pythonName = 'interval-py'

export class SdkVersion {
  /** As sent, or null. */
  readonly name: string | null
  /** As sent, or null. */
  readonly version: string | null
  readonly isPython: boolean
  readonly #parsed: semver.SemVer | null

  constructor(sdkName: string | null | undefined, sdkVersion: string | null | undefined) {
    this.name = sdkName ?? null
    this.version = sdkVersion ?? null
    this.isPython = sdkName === pythonName
    this.#parsed = semver.parse(sdkVersion ?? null, { loose: true })
  }

  /** `@interval/sdk 2.0.0`, for people. */
  get label(): string {
    return `${this.name ?? 'unknown SDK'} ${this.version ?? '(no version)'}`
  }

  /**
   * True for Python, and for Node from `threshold` on. A Node SDK that names no version at all is older than any gate;
   * one with a version that cannot be read is taken for a development build of the newest.
   */
  isAtLeast(threshold: string): boolean {
    if (this.isPython) return true
    if (this.#parsed !== null) return semver.gte(this.#parsed, threshold)
    return this.version !== null
  }

  /** A refused initialisation may be answered with `{type: 'error', message}`; otherwise only null. */
  get structuredInitError(): boolean {
    return this.isAtLeast('0.18.0')
  }

  /** `access` of actions and pages is understood as code. Not for development hosts, which the caller knows. */
  get codePermissions(): boolean {
    return this.name === nodeName && this.isAtLeast('0.34.0')
  }

  /** Displays resolve without an answer, the browser appends, and CLOSE_TRANSACTION is required at the end. */
  get displayResolvesImmediately(): boolean {
    return this.isAtLeast('0.38.0')
  }

  get closeTransaction(): boolean {
    return this.isAtLeast('0.38.0')
  }

  /** A START_TRANSACTION that arrives twice runs the action twice; later ones know that it runs. */
  get startsTwice(): boolean {
    return !this.isAtLeast('0.38.0')
  }

  /**
   * An older socket is closed when a newer one declares itself, before that is answered. Seen closed at any other time
   * while it is connected, such an SDK never connects again; earlier ones connect once more for each close.
   */
  get fencedAtDeclaration(): boolean {
    return this.name === nodeName && this.isAtLeast('2.0.0')
  }

  /** Pages, redirects and announced shutdowns exist. */
  get pages(): boolean {
    return this.isAtLeast('0.38.0')
  }

  /** Replies to INITIALIZE_HOST must carry `warnings`. Harmless for the others, which drop it. */
  get requiresWarnings(): boolean {
    return this.isAtLeast('0.38.0')
  }

  /** `environment` is the slug; older ones know only `live` and `development` and refuse anything else. */
  get environmentSlug(): boolean {
    return this.isAtLeast('0.38.1')
  }

  /** A refused SEND_IO_CALL may be answered with a reason. */
  get ioCallErrorObject(): boolean {
    return this.isAtLeast('1.4.0')
  }

  /** The value to put into `environment` for an environment slug. */
  environmentFor(slug: string): string {
    if (this.environmentSlug) return slug
    return slug === 'development' ? 'development' : 'live'
  }

  /** The answer that makes a SEND_IO_CALL fail. It fails the action, so never for what passes by itself. */
  sendIoCallFailure(message: string): false | { type: 'ERROR'; message: string } {
    return this.ioCallErrorObject ? { type: 'ERROR', message } : false
  }

  /** Whether the host has a handler for a method; calling another gets no answer. */
  supports(method: HostMethodName): boolean {
    switch (method) {
      case 'START_TRANSACTION':
      case 'IO_RESPONSE':
        return true
      case 'CLOSE_TRANSACTION':
        return this.closeTransaction
      case 'OPEN_PAGE':
      case 'CLOSE_PAGE':
        return this.pages
    }
  }
}
