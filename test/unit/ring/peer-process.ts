/** A node with nothing but peers, as a process of its own: to be killed and paused. Options come as one argument. */
import type { NodeId } from '../../../lib/ids.js'
import { Secret, silentLog } from '../../../lib/log.js'
import { systemClock } from '../../../lib/partitions/clock.js'
import { createClusterPeers } from '../../../lib/ring/index.js'

const options = JSON.parse(process.argv[2] ?? '{}') as {
  nodeId: NodeId
  storeId: string
  boot: number
  channelPort: number
  seeds: string[]
  secret: string
}

const peers = await createClusterPeers({
  identity: { nodeId: options.nodeId, storeId: options.storeId, boot: options.boot },
  secret: new Secret(options.secret),
  seeds: options.seeds,
  channelHost: '127.0.0.1',
  channelPort: options.channelPort,
  clock: systemClock(),
  random: Math.random,
  log: silentLog,
})
peers.onCall('echo', (_from, body) => body)
peers.setBeacon(() => Buffer.from(options.nodeId))
await peers.start()
process.stdout.write(`${JSON.stringify(peers.self)}\n`)
// Without its parent it has no reason to live.
process.stdin.resume()
process.stdin.on('end', () => process.exit())
