/** A Map and a Set for what comes and goes: they behave as those do, and hold on to nothing that has gone. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { PassingMap, PassingSet } from '../../lib/passing.js'

t.test('as a Map and a Set, whatever comes and goes', async t => {
  const map = new Map<number, number>()
  const set = new Set<number>()
  const passingMap = new PassingMap<number, number>()
  const passingSet = new PassingSet<number>()
  // Park and Miller: the same in each run.
  let random = 1
  const below = (max: number): number => {
    random = (random * 48_271) % 2_147_483_647
    return random % max
  }
  for (let step = 0; step < 20_000; step++) {
    const key = below(step % 4_000 < 2_000 ? 40 : 4_000)
    if (below(2) === 0) {
      map.set(key, step)
      set.add(key)
      passingMap.set(key, step)
      passingSet.add(key)
    } else if (map.delete(key) !== passingMap.delete(key) || set.delete(key) !== passingSet.delete(key))
      t.fail(`step ${step}: ${key} was there in one`)
    if (map.get(key) !== passingMap.get(key) || map.has(key) !== passingMap.has(key)) t.fail(`step ${step}`)
    if (set.has(key) !== passingSet.has(key)) t.fail(`step ${step}`)
    if (step % 1_000 > 0) continue
    t.same([...passingMap], [...map])
    t.same([...passingMap.keys()], [...map.keys()])
    t.same([...passingMap.values()], [...map.values()])
    t.same([...passingSet], [...set])
    t.same([passingMap.size, passingSet.size], [map.size, set.size])
  }
  passingMap.clear()
  t.equal(passingMap.size, 0)
  t.same([...passingMap], [])
})

t.test('what has gone is collected young', async t => {
  const promotedBy = (create: string): number => {
    const module = fileURLToPath(new URL('../../lib/passing.js', import.meta.url))
    const source = `
      import { getHeapSpaceStatistics } from 'node:v8'
      import { PassingMap, PassingSet } from ${JSON.stringify(module)}
      const passing = ${create}
      const waiting = []
      const enter = number => {
        const value = { number, content: new Array(100).fill(number) }
        if (passing.set) passing.set(value, value)
        else passing.add(value)
        waiting.push(value)
        if (waiting.length > 64) passing.delete(waiting.shift())
      }
      const old = () => getHeapSpaceStatistics().find(space => space.space_name === 'old_space').space_used_size
      for (let number = 0; number < 1_000; number++) enter(number)
      gc()
      const before = old()
      let most = 0
      for (let number = 0; number < 100_000; number++) {
        enter(number)
        if (number % 1_000 === 0) most = Math.max(most, old() - before)
      }
      console.log(most)`
    const flags = ['--expose-gc', '--max-semi-space-size=16', '--input-type=module', '--eval', source]
    return Number(execFileSync(process.execPath, flags).toString())
  }
  const megabyte = 1_048_576
  // 100,000 with 800 bytes each went through.
  for (const kind of ['Map', 'Set']) {
    const [plain, passing] = [promotedBy(`new ${kind}()`), promotedBy(`new Passing${kind}()`)]
    t.ok(passing < 4 * megabyte, `${kind}: ${passing} bytes are promoted; with V8's own, ${plain}`)
  }
})
