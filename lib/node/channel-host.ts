/**
 * The address by which other nodes reach this one, when nobody has said it: the one this machine uses towards a seed.
 * The kernel knows it without a packet being sent: connecting a datagram socket only chooses a route.
 */
import { createSocket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { parseAddress } from '../ring/index.js'

/** Resolves with an address of this machine; the loopback address when it has no other. */
export async function channelHostTowards(seeds: readonly string[]): Promise<string> {
  for (const seed of seeds) {
    const address = parseAddress(seed)
    const own = address && (await addressTowards(address.host, address.port))
    if (own !== undefined && own !== null) return own
  }
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of addresses ?? []) {
      if (!internal && family === 'IPv4') return address
    }
  }
  return '127.0.0.1'
}

function addressTowards(host: string, port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const done = (address?: string) => {
      socket.close()
      resolve(address)
    }
    socket.once('error', () => done())
    try {
      socket.connect(port, host, () => done(socket.address().address))
    } catch {
      done()
    }
  })
}
