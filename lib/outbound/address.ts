/**
 * IP addresses and networks as numbers, and which of them are public.
 *
 * Invariant: an IPv4 address and its IPv4-mapped IPv6 form are the same address here. What is not known to be public is
 * not: in IPv6 only 2000::/3 is handed out for that. The lists follow the IANA registries of special-purpose addresses
 * (RFC 6890 and its updates).
 */
import { isIP } from 'node:net'

/** 128 bits; IPv4 stands in its mapped form, `::ffff:a.b.c.d`. */
export type Address = bigint

export interface Network {
  readonly first: Address
  /** Bits that all addresses of the network share, of 128. */
  readonly bits: number
}

const mapped = 0xffffn << 32n

/** The address in a text such as `10.0.0.1`, `::1` or `fe80::1%eth0`; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  const version = isIP(text)
  if (version === 4) return mapped | ipv4(text)
  if (version === 6) return ipv6(text.replace(/%.*$/, ''))
  return undefined
}

/** A network `address/bits` or a single address; undefined when it is neither, or has bits set behind its prefix. */
export function parseNetwork(text: string): Network | undefined {
  const [written = '', bitsText, ...rest] = text.split('/')
  if (written.includes('%') || rest.length > 0) return undefined
  const first = parseAddress(written)
  if (first === undefined) return undefined
  const width = isIP(written) === 4 ? 32 : 128
  if (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)) return undefined
  const given = bitsText === undefined ? width : Number(bitsText)
  if (given > width) return undefined
  const bits = given + 128 - width
  return prefixOf(first, bits) << BigInt(128 - bits) === first ? { first, bits } : undefined
}

/** Whether the address is in the network. A network of IPv6, `::/0` too, holds no IPv4 unless written in mapped form. */
export function isWithin(address: Address, { first, bits }: Network): boolean {
  if (bits < 96 && isIpv4(address)) return false
  return prefixOf(address, bits) === prefixOf(first, bits)
}

/** Whether anybody on the internet may have this address: public, unicast, of one host, and not an internal service. */
export function isPublic(address: Address): boolean {
  const inner = innerIpv4(address)
  if (inner !== undefined) return !notPublicIpv4.some(network => isWithin(inner, network))
  return isWithin(address, globalUnicast) && !notPublicIpv6.some(network => isWithin(address, network))
}

/** The IPv4 address that a packet to this one ends at: itself, or what NAT64 or 6to4 make of it. */
export function innerIpv4(address: Address): Address | undefined {
  if (isIpv4(address)) return address
  if (isWithin(address, nat64)) return mapped | (address & 0xffff_ffffn)
  if (isWithin(address, sixToFour)) return mapped | ((address >> 80n) & 0xffff_ffffn)
  return undefined
}

function isIpv4(address: Address): boolean {
  return address >> 32n === 0xffffn
}

function prefixOf(address: Address, bits: number): bigint {
  return address >> BigInt(128 - bits)
}

function ipv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n)
}

/** `text` is valid. Its last 32 bits may be written as IPv4. */
function ipv6(text: string): bigint {
  const [head = '', tail] = text.split('::')
  const before = groupsOf(head)
  const after = tail === undefined ? [] : groupsOf(tail)
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0n)
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | group, 0n)
}

function groupsOf(text: string): bigint[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)]
    const value = ipv4(group)
    return [value >> 16n, value & 0xffffn]
  })
}

function network(text: string): Network {
  const parsed = parseNetwork(text)
  if (parsed === undefined) throw new Error(`${text} is not a network`)
  return parsed
}

const nat64 = network('64:ff9b::/96')
const sixToFour = network('2002::/16')
const globalUnicast = network('2000::/3')

const notPublicIpv4 = [
  '0.0.0.0/8', // this host
  '10.0.0.0/8', // private
  '100.64.0.0/10', // behind a carrier's NAT; also the metadata service of one cloud
  '127.0.0.0/8', // loopback
  '168.63.129.16', // the host's own services in one cloud
  '169.254.0.0/16', // link-local; 169.254.169.254 is the metadata service of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays, given up
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
].map(network)

const notPublicIpv6 = [
  '2001::/23', // protocol assignments: Teredo, benchmarks, ORCHID
  '2001:db8::/32', // documentation
  '3fff::/20', // documentation
].map(network)
