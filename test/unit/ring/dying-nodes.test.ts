/** Nodes killed, paused and restarted: what the others know of them, and how soon. */
import t from 'tap'
import type { AppError } from '../../../lib/errors.js'
import { eventuallyTrue } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'
import { idOf, sees, start, startProcess } from './nodes.js'

t.test('a killed node is refused at once, and connected again after its restart', async t => {
  const port = await freePort()
  const a = await start(t, 'a', [`127.0.0.1:${port}`])
  const events: { kind: string; atMs: number }[] = []
  a.onCondition((nodeId, condition) => {
    if (nodeId === idOf('b')) events.push({ kind: condition.kind, atMs: Date.now() })
  })
  const first = await startProcess(t, 'b', 1, port, [])
  await eventuallyTrue('seen', () => sees(a, 'a', 'b') && a.condition(idOf('b')).kind === 'connected')

  const pending = a.call(idOf('b'), 'echo', Buffer.alloc(20_000_000), 10_000)
  const outcome = pending.then(
    () => 'answered',
    (error: AppError) => error.code,
  )
  const killedMs = Date.now()
  first.child.kill('SIGKILL')
  await eventuallyTrue('refused', () => events.at(-1)?.kind === 'refused')
  const refusedMs = (events.at(-1)?.atMs ?? 0) - killedMs
  t.comment(`refused ${refusedMs} ms after SIGKILL; the call in flight: ${await outcome}`)
  t.notOk(
    events.some(({ kind, atMs }) => kind === 'silent' && atMs >= killedMs),
    'not by its silence',
  )
  t.ok(refusedMs <= 150)
  t.equal(await outcome, 'unavailable')
  t.equal(a.condition(idOf('b')).kind, 'refused')
  const callMs = Date.now()
  await t.rejects(a.call(idOf('b'), 'echo', Buffer.alloc(1), 10_000), { code: 'unavailable' })
  t.ok(Date.now() - callMs < 500, 'a call to the dead fails at once')
  await eventuallyTrue('given up by gossip', () => sees(a, 'a'))
  t.comment(`given up by gossip after ${Date.now() - killedMs} ms`)

  const second = await startProcess(t, 'b', 2, port, [])
  const upMs = Date.now()
  await eventuallyTrue('connected', () => a.condition(idOf('b')).kind === 'connected')
  t.comment(`connected ${Date.now() - upMs} ms after the restarted node was up`)
  t.ok(Date.now() - upMs <= 1_000)
  await eventuallyTrue('a member again', () => a.members().some(({ boot }) => boot === 2))
  t.same(
    a.members().find(({ nodeId }) => nodeId === idOf('b')),
    second.self,
  )
  t.equal(String(await a.call(idOf('b'), 'echo', Buffer.from('back'), 1_000)), 'back')

  // Restarted before gossip has given it up.
  second.child.kill('SIGKILL')
  await startProcess(t, 'b', 3, port, [])
  const upAgainMs = Date.now()
  await eventuallyTrue('connected', () => a.condition(idOf('b')).kind === 'connected')
  await eventuallyTrue('a member again', () => a.members().some(({ boot }) => boot === 3))
  t.comment(`a member again ${Date.now() - upAgainMs} ms after the quickly restarted node was up`)
  t.ok(Date.now() - upAgainMs <= 1_000)
})

t.test('a restart at another address keeps the id', async t => {
  const [portA, portB, portOther] = [await freePort(), await freePort(), await freePort()]
  const a = await start(t, 'a', [], { channelPort: portA })
  const first = await startProcess(t, 'b', 1, portB, [`127.0.0.1:${portA}`])
  await eventuallyTrue('connected', () => a.condition(idOf('b')).kind === 'connected')
  first.child.kill('SIGKILL')
  const second = await startProcess(t, 'b', 2, portOther, [`127.0.0.1:${portA}`])
  await eventuallyTrue('connected', () => a.condition(idOf('b')).kind === 'connected')
  await eventuallyTrue('a member', () => a.members().some(({ boot }) => boot === 2))
  t.equal(a.members().filter(({ nodeId }) => nodeId === idOf('b')).length, 1)
  t.equal(a.members().find(({ nodeId }) => nodeId === idOf('b'))?.channelAddress, second.self.channelAddress)
})

t.test('a paused node is silent, never refused, and connected when it goes on', async t => {
  const port = await freePort()
  const a = await start(t, 'a', [`127.0.0.1:${port}`])
  const kinds = new Set<string>()
  a.onCondition((_nodeId, condition) => kinds.add(condition.kind))
  const { child } = await startProcess(t, 'b', 1, port, [])
  await eventuallyTrue('connected', () => a.condition(idOf('b')).kind === 'connected')
  child.kill('SIGSTOP')
  const pausedMs = Date.now()
  await eventuallyTrue('silent', () => a.condition(idOf('b')).kind === 'silent')
  t.comment(`silent ${Date.now() - pausedMs} ms after SIGSTOP`)
  await t.rejects(a.call(idOf('b'), 'echo', Buffer.alloc(1), 300), { code: 'timeout' })
  await eventuallyTrue('the connection was given up', () => a.counters.resets > 0)
  await eventuallyTrue('given up by gossip', () => sees(a, 'a'))
  t.equal(a.condition(idOf('b')).kind, 'silent')
  child.kill('SIGCONT')
  const wokenMs = Date.now()
  await eventuallyTrue('connected', () => a.condition(idOf('b')).kind === 'connected')
  t.comment(`connected ${Date.now() - wokenMs} ms after SIGCONT`)
  await eventuallyTrue('a member again', () => sees(a, 'a', 'b'))
  t.notOk(kinds.has('refused'))
})

t.test('the last of three gives up the other two', async t => {
  const [portA, portB] = [await freePort(), await freePort()]
  const a = await start(t, 'a', [], { channelPort: portA })
  const others = await Promise.all([
    startProcess(t, 'b', 1, portB, [`127.0.0.1:${portA}`]),
    startProcess(t, 'c', 1, await freePort(), [`127.0.0.1:${portA}`]),
  ])
  await eventuallyTrue('all are there', () => sees(a, 'a', 'b', 'c'))
  await eventuallyTrue(
    'connected',
    () => a.condition(idOf('b')).kind === 'connected' && a.condition(idOf('c')).kind === 'connected',
  )
  for (const { child } of others) child.kill('SIGKILL')
  const killedMs = Date.now()
  await eventuallyTrue('both are given up', () => sees(a, 'a'))
  t.comment(`both given up after ${Date.now() - killedMs} ms`)
  t.equal(a.condition(idOf('b')).kind, 'refused')
  t.equal(a.condition(idOf('c')).kind, 'refused')
})
