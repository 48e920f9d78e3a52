/**
 * Addresses of nodes: `host:port` as people write it, IPv6 in brackets, and the name that ringpop and tchannel know a
 * node by. Both accept nothing but four decimal numbers and a port there, so an IPv6 address is written as its four
 * 32-bit groups, each with a leading zero (`0536936448.00.00.01:3455`): no IPv4 address looks like that, and nothing
 * but this file ever reads it.
 */
import { isIP, isIPv6 } from 'node:net'
import { AppError } from '../errors.js'

export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string
  readonly port: number
}

/** Where nodes gossip unless told otherwise. */
export const defaultChannelPort = 3455

/** Reads `host`, `host:port`, `[v6]` or `[v6]:port`. Throws `bad-request` naming the text when it is none of them. */
export function parseAddress(text: string, defaultPort = defaultChannelPort): Address {
  const match =
    /^\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^\s:[\]/]+)(?::(\d{1,5}))?$/.exec(text)
  const bare = isIPv6(text) ? text : match?.[1]
  const port = isIPv6(text) || match?.[2] === undefined ? defaultPort : Number(match[2])
  const isHost = bare !== undefined && (isIPv6(bare) || !text.startsWith('['))
  if (!isHost || port < 1 || port > 65_535) {
    throw new AppError('bad-request', `"${text}" is not an address of the form host:port or [IPv6]:port.`)
  }
  return { host: bare, port }
}

/** `host:port`, IPv6 in brackets and in its shortest form. */
export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `${new URL(`http://[${host}]`).hostname}:${port}` : `${host}:${port}`
}

/** What ringpop and tchannel call this address. The host must be an IP address. */
export function channelNameOf(address: Address): string {
  if (isIP(address.host) === 0) throw new Error(`${address.host} is not an IP address`)
  if (!isIPv6(address.host)) return `${address.host}:${address.port}`
  return `${groupsOf(address.host)
    .map(group => `0${group}`)
    .join('.')}:${address.port}`
}

/** The address behind such a name. Throws `bad-request` for a name this file has not made. */
export function addressOfChannelName(name: string): Address {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+):(\d{1,5})$/.exec(name)
  if (!match) throw new AppError('bad-request', `"${name}" is not the name of a channel.`)
  const numbers = match.slice(1, 5)
  const port = Number(match[5])
  const isV6 = numbers.every(number => number.length > 1 && number.startsWith('0'))
  const host = isV6 ? textOf(numbers.map(Number)) : numbers.join('.')
  if (isIP(host) === 0) throw new AppError('bad-request', `"${name}" is not the name of a channel.`)
  return { host, port }
}

/** The four 32-bit groups of an IPv6 address. */
function groupsOf(host: string): number[] {
  // The URL parser writes any spelling as hexadecimal words with at most one `::`.
  const [head = '', tail] = new URL(`http://[${host}]`).hostname.slice(1, -1).split('::')
  const wordsOf = (text: string): number[] =>
    text === '' ? [] : text.split(':').map(word => Number.parseInt(word, 16))
  const left = wordsOf(head)
  const right = tail === undefined ? [] : wordsOf(tail)
  const words = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
  return [0, 2, 4, 6].map(index => (words[index] ?? 0) * 65_536 + (words[index + 1] ?? 0))
}

function textOf(groups: readonly number[]): string {
  const words = groups.flatMap(group => [Math.floor(group / 65_536), group % 65_536])
  const text = words.map(word => word.toString(16)).join(':')
  return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text
}
