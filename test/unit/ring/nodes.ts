/** Nodes with nothing but peers, in this process and as processes of their own, for tests of the ring. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { NodeId } from '../../../lib/ids.js'
import { Secret, silentLog } from '../../../lib/log.js'
import { systemClock } from '../../../lib/partitions/clock.js'
import {
  type ClusterPeers,
  type ClusterPeersOptions,
  createClusterPeers,
  type Member,
} from '../../../lib/ring/index.js'

const secret = 'a secret of the cluster'

/** A started node named `name` that answers `echo`, `who` and `fail`; stopped after the test. */
export async function start(
  t: Test,
  name: string,
  seeds: readonly string[],
  options: Partial<ClusterPeersOptions> = {},
): Promise<ClusterPeers> {
  const peers = await createClusterPeers({
    identity: { nodeId: `node-${name}-0000` as NodeId, storeId: `store-${name}`, boot: 1 },
    secret: new Secret(secret),
    seeds,
    channelHost: '127.0.0.1',
    channelPort: 0,
    clock: systemClock(),
    random: Math.random,
    log: silentLog,
    ...options,
  })
  peers.onCall('echo', (_from, body) => body)
  peers.onCall('who', from => Buffer.from(from.nodeId))
  peers.onCall('fail', () => {
    throw new AppError('conflict', 'Taken.')
  })
  peers.setBeacon(() => Buffer.from(`time of ${name}`))
  t.teardown(() => peers.stop())
  await peers.start()
  return peers
}

/** True when its members are exactly those. */
export function sees(peers: ClusterPeers, ...names: string[]): boolean {
  const expected = names.map(name => `node-${name}-0000`).sort()
  return JSON.stringify(peers.members().map(({ nodeId }) => nodeId)) === JSON.stringify(expected)
}

export const idOf = (name: string): NodeId => `node-${name}-0000` as NodeId

/** A node in a process of its own, ready; killed after the test. */
export async function startProcess(
  t: Test,
  name: string,
  boot: number,
  channelPort: number,
  seeds: string[],
): Promise<{ child: ChildProcess; self: Member }> {
  const file = fileURLToPath(new URL('./peer-process.js', import.meta.url))
  const config = { nodeId: idOf(name), storeId: `store-${name}`, boot, channelPort, seeds, secret }
  const child = spawn(process.execPath, [file, JSON.stringify(config)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', chunk => resolve(String(chunk)))
    child.once('exit', code => reject(new Error(`exited with ${code}`)))
  })
  return { child, self: JSON.parse(line) as Member }
}
