/** Requests for runs: how long they stay open, and that many of them may wait. */
import { createServer } from 'node:http'
import t from 'tap'
import type { HttpHostOrder } from '../../../lib/hosts/http-host.js'
import { HttpHosts, type HttpHostsOptions } from '../../../lib/hosts/http-hosts.js'
import type { HttpHostId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { Outbound } from '../../../lib/outbound/index.js'
import { VirtualClock } from '../../../lib/partitions/clock.js'
import { Effects, type EffectsOptions } from '../../../lib/partitions/effects.js'
import type { EffectDispatcher, EntityRuntime } from '../../../lib/partitions/index.js'
import { PartitionKeys } from '../../../lib/partitions/keys.js'
import { eventually } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

const id = 'http-host-1' as HttpHostId

t.test('what the entity has given up is ended; what was claimed, or cannot be told, goes on', async t => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): number => warnings.push(warning)
  process.on('warning', onWarning)
  const server = createServer(() => undefined)
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${port}/`
  const outbound = new Outbound({ allow: ['127.0.0.1'] })
  t.teardown(() => {
    process.off('warning', onWarning)
    outbound.close()
    server.closeAllConnections()
    server.close()
  })

  const clock = new VirtualClock()
  const effects = new Effects({
    clock,
    random: () => 0.5,
    log: { debug: () => undefined },
    drops: { add: () => undefined },
    keys: (partition: number) => new PartitionKeys(partition as never, 0),
    effectsMax: 1_000,
  } as unknown as EffectsOptions)
  let say: (order: HttpHostOrder) => void = () => undefined
  const runtime = {
    onEffect: (to: string, dispatcher: EffectDispatcher) => effects.register(to, dispatcher),
    onSignal: (_to: string, heard: (signal: { payload: unknown }) => void) => {
      say = payload => heard({ payload })
    },
    send: async () => ({}),
  } as unknown as EntityRuntime
  const options = {
    runtime,
    outbound,
    clock,
    secret: 'a secret',
    wallMs: () => 0,
    isConnected: () => true,
    log: { debug: () => undefined, error: () => undefined },
  } as unknown as HttpHostsOptions
  const hosts = new HttpHosts(options)
  await effects.start([0 as never], () => true)
  const requests = Array.from({ length: 30 }, (_, index) => `${id}.${index}`)
  effects.add(
    0 as never,
    `http-host:${id}`,
    requests.map((requestId, index) => ({
      order: [1, index, 0],
      bytes: 1,
      effect: { id: requestId, to: 'http-host', target: requestId, payload: { run: requestId, id, url } },
    })),
  )
  const openIs = (count: number) =>
    eventually(async () => {
      const connections = await new Promise<number>(resolve =>
        server.getConnections((_error, known) => resolve(known)),
      )
      if (hosts.open !== count || connections !== count)
        throw new Error(`${hosts.open} open, ${connections} connections`)
    })
  await openIs(30)
  t.same(warnings, [], 'nobody takes that for a leak')

  for (const requestId of requests.slice(0, 10)) say({ settled: requestId, claimed: null })
  await openIs(20)
  for (const requestId of requests.slice(10, 20))
    say({ settled: requestId, claimed: { instanceId: 'instance-1' as never, target: 'transaction:1' } })
  await eventually(() => {
    if (effects.inFlight !== 10) throw new Error(`${effects.inFlight} in flight`)
  })
  clock.advance(2 * limits.httpHostRequestMsMax)
  await eventually(() => {
    if (effects.inFlight !== 0) throw new Error(`${effects.inFlight} in flight`)
  })
  t.equal(hosts.open, 20)
  await effects.stop(0)
})
