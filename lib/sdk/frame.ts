/**
 * The outer envelope of every frame between a host and us: `{type, id, data}`, one JSON object per text frame.
 *
 * A MESSAGE carries text (an RPC message, or one of two reserved words) and is acknowledged by exactly one ACK with
 * its id, at once and before it is processed. The Python SDK drops a whole connection when an id it gets is not a UUID
 * or when an ACK is repeated or unknown, so ids are made with `newId` and ACKs are encoded in one place.
 *
 * This runs for every frame, so it checks by hand and encodes by hand.
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import { isRecord, parseJson } from './json.js'

export type Frame =
  | { readonly type: 'MESSAGE'; readonly id: string; readonly data: string }
  | { readonly type: 'ACK'; readonly id: string }

/** Data of the one message by which a server says that the key was accepted. */
export const authenticatedData = 'authenticated'
/** Data of a message that asks for nothing but its ACK. */
export const pingData = 'ping'

/** SDKs send UUIDs; anything printable and short is echoed. */
const frameIdPattern = /^[A-Za-z0-9_-]{1,64}$/

/**
 * Up to this length the envelope is not scanned for depth: only its three texts are read, so deep nesting can do no
 * more than be parsed and dropped, and the scan is a third of the time a frame takes. What is inside is scanned.
 */
const unscannedCharactersMax = 65_536

export interface FrameLimits {
  readonly bytesMax: number
  readonly depthMax: number
}

const defaultFrameLimits: FrameLimits = {
  bytesMax: limits.hostFrameBytesMax,
  depthMax: limits.frameDepthMax,
}

/** Parses one text frame. Throws `invalid-frame` or `too-large`; unknown fields are ignored. */
export function parseFrame(input: string | Buffer, frameLimits: FrameLimits = defaultFrameLimits): Frame {
  const { bytesMax } = frameLimits
  const depthMax = input.length <= unscannedCharactersMax ? Number.POSITIVE_INFINITY : frameLimits.depthMax
  const value = parseJson(input, { bytesMax, depthMax })
  if (!isRecord(value)) throw invalid('A frame must be an object.')
  const { type, id, data } = value
  if (typeof id !== 'string' || !frameIdPattern.test(id)) throw invalid('A frame must have an id.')
  if (type === 'ACK') return { type, id }
  if (type !== 'MESSAGE') throw invalid('The type of a frame must be MESSAGE or ACK.')
  if (typeof data !== 'string') throw invalid('The data of a MESSAGE must be text.')
  return { type, id, data }
}

function invalid(message: string): AppError {
  return new AppError('invalid-frame', message)
}

/** `id` must be a UUID made here. */
export function encodeMessage(id: string, data: string): string {
  return `{"type":"MESSAGE","id":"${id}","data":${JSON.stringify(data)}}`
}

/** `id` is one that came in with a MESSAGE and passed `parseFrame`, so it needs no escaping. */
export function encodeAck(id: string): string {
  return `{"type":"ACK","id":"${id}"}`
}
