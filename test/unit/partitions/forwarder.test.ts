/** What a request carries when it is made again: the first time may have been carried out. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { NodeId } from '../../../lib/ids.js'
import { Forwarder } from '../../../lib/partitions/forwarder.js'
import { VirtualClock } from '../../../lib/partitions/index.js'
import type { ForwardRequest, PartitionId } from '../../../lib/ring/index.js'

t.test('a key that was new is not taken for new again', async t => {
  const asked: ForwardRequest[] = []
  const other = 'node-2' as NodeId
  const forwarder = new Forwarder({
    peers: {
      self: { nodeId: 'node-1' as NodeId } as never,
      onCall: () => undefined,
      condition: () => ({ kind: 'connected', heardAtMs: 0 }),
      async call(_to, _kind, body) {
        asked.push(JSON.parse(body.toString()) as ForwardRequest)
        if (asked.length === 1) throw new AppError('unavailable')
        return Buffer.from('"made"')
      },
    },
    rows: { ownerOf: () => other, changed: () => Promise.resolve() } as never,
    evidence: { startedAtMs: 0 } as never,
    serves: () => false,
    isIsolated: () => false,
    clock: new VirtualClock(),
  })
  const request = { partition: 1 as PartitionId, key: 'timer:1', message: { type: 'create' }, isNew: true }
  t.equal(await forwarder.forward(request), 'made')
  t.same(
    asked.map(({ isNew }) => isNew),
    [true, undefined],
  )
  t.same(asked[1]?.message, request.message)
})
