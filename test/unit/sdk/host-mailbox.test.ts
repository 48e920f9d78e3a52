import t from 'tap'
import { HostMailbox, lostIdsMax } from '../../../lib/sdk/index.js'

t.test('an answer that was not confirmed is delivered on every new connection until it is', async t => {
  const mailbox = new HostMailbox()
  t.match(mailbox.connected('1'), { responses: [], lostIds: [] })
  mailbox.received('1', 'INITIALIZE_HOST')
  mailbox.computed('1', { type: 'success' })
  mailbox.confirmed('1')
  mailbox.received('2', 'SEND_LOG')
  mailbox.computed('2', true)
  mailbox.received('3', 'SEND_IO_CALL')
  t.match(mailbox.connected('4'), {
    responses: [{ rpcId: '2', method: 'SEND_LOG', data: true }],
    lostIds: [],
  })
  mailbox.received('4', 'INITIALIZE_HOST')
  mailbox.computed('3', false)
  mailbox.confirmed('2')
  t.same(mailbox.connected('5').responses, [{ rpcId: '3', method: 'SEND_IO_CALL', data: false }])
  mailbox.confirmed('3')
  mailbox.confirmed('4')
  t.equal(mailbox.unsettledCount, 0)
  t.equal(mailbox.responseBytes, 0)
})

t.test('ids lost on the way are answered true, those still being worked on are not', async t => {
  const mailbox = new HostMailbox()
  mailbox.connected('10')
  mailbox.received('10', 'INITIALIZE_HOST')
  mailbox.received('12', 'SEND_LOG')
  t.same(
    mailbox.connected('16').lostIds,
    ['13', '14', '15'],
    'between the highest seen and the first of the new one',
  )
  mailbox.received('16', 'INITIALIZE_HOST')
  t.same(mailbox.connected('17').lostIds, [])
  mailbox.received('17', 'INITIALIZE_HOST')
  t.same(mailbox.connected('9').lostIds, [], 'ids that go backwards answer nothing')
})

t.test('at most so many lost ids are answered', async t => {
  const mailbox = new HostMailbox()
  mailbox.connected('1')
  mailbox.received('1', 'INITIALIZE_HOST')
  const { lostIds } = mailbox.connected('1000000')
  t.equal(lostIds.length, lostIdsMax)
  t.equal(lostIds.at(-1), '999999')
})

t.test('after a crash the first id of the connection before bounds what is answered', async t => {
  const before = new HostMailbox()
  before.connected('5')
  before.received('5', 'INITIALIZE_HOST')
  before.received('6', 'SEND_LOG')
  before.received('8', 'INITIALIZE_HOST')
  before.received('9', 'BEGIN_HOST_SHUTDOWN')
  const after = new HostMailbox(JSON.parse(JSON.stringify(before.snapshot())))
  t.same(after.connected('12').lostIds, ['6', '7', '10', '11'], 'not those that are answered by an object')
  t.same(after.snapshot().lastFirstId, 12)
})

t.test('a first connection answers nothing', async t => {
  t.same(new HostMailbox().connected('40').lostIds, [])
})

t.test('ids that are no numbers switch the rule off, answers are still kept', async t => {
  const mailbox = new HostMailbox()
  mailbox.connected('a')
  mailbox.received('a', 'INITIALIZE_HOST')
  mailbox.received('b', 'SEND_LOG')
  mailbox.computed('b', true)
  t.match(mailbox.connected('9'), {
    responses: [{ rpcId: 'b', method: 'SEND_LOG', data: true }],
    lostIds: [],
  })
  t.same(mailbox.snapshot().lastFirstId, null)
  for (const id of ['0', '-1', '1.5', '1e3', ' 1', '01', '99999999999999999999']) {
    const odd = new HostMailbox()
    odd.connected('1')
    odd.received('1', 'INITIALIZE_HOST')
    t.same(odd.connected(id).lostIds, [], id)
  }
})

t.test('a refused initialisation is not delivered to the next connection', async t => {
  const mailbox = new HostMailbox()
  mailbox.connected('1')
  mailbox.received('1', 'INITIALIZE_HOST')
  mailbox.computed('1', { type: 'error', message: 'no' })
  t.same(mailbox.connected('2').responses, [])
  mailbox.received('2', 'INITIALIZE_HOST')
  mailbox.computed('2', { type: 'success' })
  t.equal(mailbox.connected('3').responses.length, 1)
})

t.test('what is kept is bounded in number and bytes, the oldest go first', async t => {
  const byCount = new HostMailbox(undefined, { responsesMax: 3, responseBytesMax: 1_000 })
  for (let id = 1; id <= 5; id++) {
    byCount.received(String(id), 'SEND_LOG')
    byCount.computed(String(id), true)
  }
  t.same(
    byCount.connected('6').responses.map(response => response.rpcId),
    ['3', '4', '5'],
  )
  t.equal(byCount.droppedCount, 2)
  const byBytes = new HostMailbox(undefined, { responsesMax: 100, responseBytesMax: 1_000 })
  for (let id = 1; id <= 5; id++) {
    byBytes.received(String(id), 'SEND_IO_CALL')
    byBytes.computed(String(id), { type: 'ERROR', message: 'x'.repeat(300) })
  }
  t.ok(byBytes.responseBytes <= 1_000)
  t.same(byBytes.connected('6').responses.length, 3)
})

t.test(
  'a confirmed answer is sent once more on the next connection: the SDK may have left the socket that had it',
  async t => {
    const mailbox = new HostMailbox()
    mailbox.connected('1')
    mailbox.received('1', 'SEND_LOG')
    mailbox.computed('1', true)
    mailbox.confirmed('1')
    const { recent, responses } = mailbox.connected('2')
    t.same(recent, [{ rpcId: '1', method: 'SEND_LOG', data: true }])
    t.same(responses, [])
    for (let id = 3; id < 1_000; id++) {
      mailbox.received(String(id), 'SEND_LOG')
      mailbox.computed(String(id), true)
      mailbox.confirmed(String(id))
    }
    t.equal(mailbox.connected('1000').recent.length, 256, 'bounded, the newest stay')
  },
)
