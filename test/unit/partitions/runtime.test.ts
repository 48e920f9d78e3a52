import { join } from 'node:path'
import t from 'tap'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import { openPartitions, type PartitionsOptions, VirtualClock } from '../../../lib/partitions/index.js'
import { type CounterState, codeOf, counterKind, eventually, temporaryDirectory } from './support.js'

// fsync is slow on a busy disk.
t.setTimeout(180_000)

for (const backend of ['memdown', 'leveldown'] as const) {
  t.test(`on ${backend}`, async t => {
    const directory = await temporaryDirectory()
    t.teardown(directory.remove)
    let stores = 0
    const open = async (options: Partial<PartitionsOptions> & { path?: string } = {}) => {
      stores += 1
      const path = options.path ?? join(directory.path, String(stores))
      const partitions = await openPartitions({
        storage: backend === 'memdown' ? { backend } : { backend, path },
        log: silentLog,
        onFatal: () => undefined,
        ...options,
      })
      partitions.register(counterKind)
      return partitions
    }

    t.test('a message is decided, committed and answered; its signals follow', async t => {
      const partitions = await open()
      const heard: unknown[] = []
      partitions.onSignal('counter', signal => heard.push(signal.payload))
      await partitions.start()
      t.equal(await partitions.send('counter:one', { type: 'add', amount: 2 } as never), 2)
      t.equal(await partitions.send('counter:one', { type: 'add', amount: 3 } as never), 5)
      t.same(heard, [2, 5])
      t.equal(await codeOf(partitions.send('nothing:one', { type: 'add' })), 'bad-request')
      t.equal(await codeOf(partitions.send('counter:\0', { type: 'add' })), 'bad-request')
      await partitions.stop()
      t.equal(await codeOf(partitions.send('counter:one', { type: 'add' })), 'draining')
    })

    t.test('messages of one turn are pipelined and share a batch', async t => {
      const partitions = await open()
      await partitions.start()
      await partitions.send('counter:a', { type: 'read' })
      const before = partitions.stats()
      const replies = await Promise.all(
        Array.from({ length: 100 }, () => partitions.send('counter:a', { type: 'add', amount: 1 } as never)),
      )
      t.same(
        replies,
        Array.from({ length: 100 }, (_, index) => index + 1),
      )
      const after = partitions.stats()
      t.equal(after.commits - before.commits, 100)
      t.ok(after.groups - before.groups <= 3, `${after.groups - before.groups} batches`)
      await partitions.stop()
    })

    t.test('refusals and bugs change nothing and wait for what was decided before', async t => {
      const partitions = await open()
      await partitions.start()
      const order: string[] = []
      const add = partitions
        .send('counter:r', { type: 'add', amount: 1 } as never)
        .then(() => order.push('add'))
      const refused = codeOf(partitions.send('counter:r', { type: 'refuse' })).then(code => order.push(code))
      const broken = codeOf(partitions.send('counter:r', { type: 'break' })).then(code => order.push(code))
      await Promise.all([add, refused, broken])
      t.same(order, ['add', 'conflict', 'internal'])
      t.equal((await partitions.send<CounterState>('counter:r', { type: 'read' })).total, 1)
      await partitions.stop()
    })

    t.test('a mailbox has an end', async t => {
      const partitions = await open({ limits: { mailboxMessagesMax: 4 } })
      await partitions.start()
      const codes = await Promise.all(
        Array.from({ length: 6 }, () =>
          codeOf(partitions.send('counter:m', { type: 'add', amount: 1 } as never)),
        ),
      )
      t.same(codes, ['none', 'none', 'none', 'none', 'queue-full', 'queue-full'])
      await partitions.stop()
    })

    t.test('idle entities leave memory, and come back with what they had', async t => {
      const clock = new VirtualClock()
      const partitions = await open({ clock })
      await partitions.start()
      await partitions.send('counter:idle', { type: 'write', put: { note: { text: 'é' }, b: 1 } } as never)
      await partitions.send('counter:idle', { type: 'write', put: { note: 2 }, del: ['b'] } as never)
      t.equal(partitions.stats().entitiesInMemory, 1)
      clock.advance(limits.entityIdleMs + 2_000)
      t.equal(partitions.stats().entitiesInMemory, 0)
      t.same((await partitions.send<CounterState>('counter:idle', { type: 'read' })).notes, { note: 2 })
      await partitions.send('counter:absent', { type: 'read' })
      t.equal(partitions.stats().entitiesInMemory, 1, 'an entity without records is not kept')
      await partitions.stop()
    })

    t.test('the least recently used leave first when there are too many', async t => {
      const partitions = await open({ limits: { entitiesInMemoryMax: 10 } })
      await partitions.start()
      for (let index = 0; index < 30; index += 1) {
        await partitions.send(`counter:lru${index}`, { type: 'add', amount: index } as never)
      }
      t.ok(partitions.stats().entitiesInMemory <= 10)
      t.equal((await partitions.send<CounterState>('counter:lru3', { type: 'read' })).total, 3)
      await partitions.stop()
    })

    t.test('a deleted entity is gone with all its records', async t => {
      const partitions = await open()
      await partitions.start()
      await partitions.send('counter:d', { type: 'write', put: { a: 1, b: 2 } } as never)
      await partitions.send('counter:d', { type: 'delete' })
      t.equal(partitions.stats().entitiesInMemory, 0)
      t.same(await partitions.send('counter:d', { type: 'read' }), { total: 0, notes: {} })
      await partitions.stop()
    })

    t.test('alarms fire at their time, never before, and only while they are set', async t => {
      const clock = new VirtualClock()
      const partitions = await open({ clock })
      await partitions.start()
      const startMs = clock.nowMs()
      await partitions.send('counter:near', { type: 'wake', atMs: startMs + 500 } as never)
      await partitions.send('counter:far', { type: 'wake', atMs: startMs + 300_000 } as never)
      await partitions.send('counter:moved', { type: 'wake', atMs: startMs + 400 } as never)
      await partitions.send('counter:moved', { type: 'wake', atMs: startMs + 600 } as never)
      await partitions.send('counter:removed', { type: 'wake', atMs: startMs + 400 } as never)
      await partitions.send('counter:removed', { type: 'wake', atMs: null } as never)
      const fired = async (key: string) =>
        ((await partitions.send<CounterState>(`counter:${key}`, { type: 'read' })).notes.fired ??
          []) as number[]
      clock.advance(499)
      t.same(await fired('near'), [])
      clock.advance(1)
      await eventually(async () => (await fired('near')).length === 1, 'the near alarm')
      t.same(await fired('moved'), [])
      clock.advance(100)
      await eventually(async () => (await fired('moved')).length === 1, 'the moved alarm')
      t.same(await fired('removed'), [])
      for (let step = 0; step < 60; step += 1) {
        clock.advance(5_000)
        await new Promise(resolve => setImmediate(resolve))
        await partitions.send('counter:x', { type: 'read' })
      }
      await eventually(async () => (await fired('far')).length === 1, 'the far alarm')
      t.ok(((await fired('far'))[0] ?? 0) >= startMs + 300_000)
      t.same(await fired('near'), [startMs + 500])
      await partitions.stop()
    })

    t.test(
      'effects reach their dispatcher in order, again after a failure, and are dropped when confirmed',
      async t => {
        const partitions = await open()
        const seen: string[] = []
        let failures = 2
        partitions.onEffect('host', {
          async dispatch(effect) {
            if (failures-- > 0) throw new Error('away')
            seen.push(effect.id)
          },
        })
        await partitions.start()
        await partitions.send('counter:e', {
          type: 'tell',
          to: 'host',
          target: 'h',
          ids: ['z', 'a', 'm'],
        } as never)
        await eventually(() => seen.length === 3, 'three effects')
        t.same(seen, ['z', 'a', 'm'])
        await eventually(() => partitions.stats().effectsInMemory === 0, 'no effects left')
        await partitions.stop()
      },
    )

    t.test('redispatch does not wait for the back-off, and dropped effects are not sent', async t => {
      const clock = new VirtualClock()
      const partitions = await open({ clock })
      const seen: string[] = []
      let isAway = true
      let tries = 0
      partitions.onEffect('host', {
        async dispatch(effect) {
          tries += 1
          if (isAway) throw new Error('away')
          seen.push(effect.id)
        },
      })
      await partitions.start()
      await partitions.send('counter:e', {
        type: 'tell',
        to: 'host',
        target: 'h',
        ids: ['1', '2', '3'],
      } as never)
      await eventually(() => tries > 0 && partitions.stats().effectsInFlight === 0, 'the first try to fail')
      await partitions.send('counter:e', { type: 'untell', ids: ['2'] } as never)
      isAway = false
      t.same(seen, [])
      partitions.redispatch('host', 'other')
      partitions.redispatch('host', 'h')
      await eventually(() => partitions.stats().effectsInMemory === 0, 'all sent')
      t.same(seen, ['1', '3'])
      await partitions.stop()
    })

    t.test('history is written once per entity and change, also after Postgres was away', async t => {
      const partitions = await open({ limits: { outboxRowsMax: 2 } })
      const written: unknown[] = []
      let isAway = true
      partitions.setHistoryWriter({
        async write(batch) {
          if (isAway) throw new Error('away')
          written.push(...batch.map(item => [item.key, item.records.get('total')]))
        },
      })
      await partitions.start()
      t.equal(await partitions.send('counter:h', { type: 'record' }), false)
      t.equal(
        await partitions.send('counter:h', { type: 'record' }),
        true,
        'the entity is told that it is pending',
      )
      t.equal(partitions.outboxRows, 1)
      t.notOk(partitions.outboxFull)
      await partitions.send('counter:i', { type: 'record' })
      t.ok(partitions.outboxFull)
      await partitions.send('counter:h', { type: 'delete' })
      t.equal(
        (await partitions.send<CounterState>('counter:h', { type: 'read' })).total,
        2,
        'not deleted before',
      )
      isAway = false
      await eventually(() => partitions.outboxRows === 0, 'the outbox to empty')
      t.same(written.sort(), [
        ['counter:h', 2],
        ['counter:i', 1],
      ])
      await partitions.stop()
    })

    if (backend === 'leveldown') {
      t.test('after a restart everything is there: state, alarms, effects, marks', async t => {
        const path = join(directory.path, 'restart')
        const clock = new VirtualClock()
        const first = await open({ path, clock })
        await first.start()
        await first.send('counter:s', { type: 'add', amount: 7 } as never)
        await first.send('counter:s', { type: 'wake', atMs: clock.nowMs() + 1_000 } as never)
        await first.send('counter:s', { type: 'tell', to: 'host', target: 'h', ids: ['b', 'a'] } as never)
        await first.send('counter:t', { type: 'record' })
        const { storeId } = first.store
        await first.stop()
        clock.advance(5_000)
        const second = await open({ path, clock })
        const seen: string[] = []
        second.onEffect('host', {
          async dispatch(effect, key) {
            seen.push(`${key} ${effect.id}`)
          },
        })
        await second.start()
        t.equal(second.store.storeId, storeId)
        t.equal(second.store.boot, 2)
        t.equal(second.outboxRows, 1)
        await eventually(() => seen.length === 2, 'the stored effects')
        t.same(seen, ['counter:s b', 'counter:s a'])
        clock.advance(1)
        const fired = async () => (await second.send<CounterState>('counter:s', { type: 'read' })).notes.fired
        await eventually(async () => (await fired()) !== undefined, 'the missed alarm')
        t.equal((await second.send<CounterState>('counter:s', { type: 'read' })).total, 7)
        await second.stop()
        const third = await open({ path, clock })
        await third.start()
        t.equal(third.stats().effectsInMemory, 0, 'confirmed effects are gone')
        await third.stop()
      })

      t.test('a second opener is refused with a clear error', async t => {
        const path = join(directory.path, 'locked')
        const first = await open({ path })
        await t.rejects(open({ path }), { message: /another process has the store open/ })
        await first.stop()
      })
    }
  })
}

t.test('what is said without a change is not overtaken by what is said later', async t => {
  // Batches for replicas begin some ms apart, by timers that keep no process alive.
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => clearInterval(alive))
  let isConfirmed: () => void = () => undefined
  const confirmed = new Promise<void>(resolve => {
    isConfirmed = resolve
  })
  const partitions = await openPartitions({
    storage: { backend: 'memdown' },
    log: silentLog,
    replication: {
      send: () => undefined,
      ackedSeq: () => Number.POSITIVE_INFINITY,
      confirm: () => confirmed,
    },
  })
  partitions.register({
    name: 'lamp',
    load: records => ({ colour: records.get('colour') ?? 'none' }),
    decide(state: { colour: unknown }, message: { type: string; colour?: string }) {
      const colour = message.colour ?? state.colour
      const signals = [{ to: 'eye', target: 'eye', payload: colour as string }]
      if (message.colour === undefined) return { state, signals, reply: colour }
      return { state: { colour }, put: new Map([['colour', message.colour]]), signals, reply: colour }
    },
  })
  const seen: unknown[] = []
  partitions.onSignal('eye', signal => seen.push(signal.payload))
  const starting = partitions.start()
  await partitions.send('lamp:1', { type: 'set', colour: 'red' })
  const looks = [1, 2].map(() => partitions.send('lamp:1', { type: 'look' }))
  await partitions.send('lamp:1', { type: 'set', colour: 'green' })
  t.same(
    seen,
    ['red', 'red', 'red', 'green'],
    'replicas that took the change have confirmed what was before it',
  )
  t.same(await Promise.all(looks), ['red', 'red'])
  const last = partitions.send('lamp:1', { type: 'look' })
  isConfirmed()
  t.equal(await last, 'green')
  await starting
  await partitions.stop()
})
