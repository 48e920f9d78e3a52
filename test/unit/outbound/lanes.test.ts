/** Who waits for whom. */
import t from 'tap'
import { Lanes, type Ticket } from '../../../lib/outbound/lanes.js'

t.test('a full lane waits in order and holds up no other', async t => {
  const lanes = new Lanes({ perLaneMax: 2, insideMax: 10, waitingMax: 10 })
  const entered: string[] = []
  const tickets = ['a1', 'a2', 'a3', 'a4', 'b1'].map(name =>
    lanes.take(name[0] ?? '', () => entered.push(name)),
  )
  t.same(entered, ['a1', 'a2', 'b1'])
  tickets[0]?.leave()
  tickets[0]?.leave()
  t.same(entered, ['a1', 'a2', 'b1', 'a3'], 'leaving twice is leaving once')
  tickets[4]?.leave()
  t.equal(entered.length, 4, 'a place in another lane is none in this one')
  tickets[1]?.leave()
  t.equal(entered[4], 'a4')
})

t.test('when all places are taken the lanes take turns', async t => {
  const lanes = new Lanes({ perLaneMax: 2, insideMax: 2, waitingMax: 10 })
  const entered: string[] = []
  const tickets = new Map<string, Ticket | undefined>()
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2'])
    tickets.set(
      name,
      lanes.take(name[0] ?? '', () => entered.push(name)),
    )
  for (let at = 0; at < entered.length; at += 1) tickets.get(entered[at] ?? '')?.leave()
  t.same(entered, ['a1', 'a2', 'a3', 'b1', 'a4', 'b2', 'a5'])
})

t.test('whoever stops waiting is not let in; too many are refused', async t => {
  const lanes = new Lanes({ perLaneMax: 1, insideMax: 1, waitingMax: 2 })
  const entered: string[] = []
  const take = (name: string) => lanes.take('a', () => entered.push(name))
  const [first, second, third] = [take('1'), take('2'), take('3')]
  t.equal(take('4'), undefined)
  second?.leave()
  t.ok(take('5'))
  first?.leave()
  third?.leave()
  t.same(entered, ['1', '3', '5'])
})
