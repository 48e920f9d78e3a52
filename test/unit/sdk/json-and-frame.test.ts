import t from 'tap'
import { AppError, type ErrorCode } from '../../../lib/errors.js'
import { depthExceeds, encodeAck, encodeMessage, parseFrame, parseJson } from '../../../lib/sdk/index.js'

const bounds = { bytesMax: 1_000, depthMax: 4 }

function throwsCode(
  t: Pick<typeof import('tap').t, 'fail' | 'equal'>,
  code: ErrorCode,
  run: () => unknown,
  name: string,
): void {
  try {
    run()
    t.fail(`${name}: nothing was thrown`)
  } catch (error) {
    t.equal(error instanceof AppError ? error.code : error, code, name)
  }
}

t.test('JSON within the bounds is parsed as JSON.parse does', async t => {
  for (const text of [
    '1',
    '"a"',
    'null',
    '[[[[]]]]',
    '{"a":[{"b":[]}]}',
    '"[[[[[[[["',
    '"\\\\"',
    '"\\"[[[[["',
    '[]',
  ]) {
    t.same(parseJson(text, bounds), JSON.parse(text), text)
    t.same(parseJson(Buffer.from(text), bounds), JSON.parse(text), `${text} as bytes`)
  }
})

t.test('everything else is refused with a code', async t => {
  const refused: [ErrorCode, string | Buffer, string][] = [
    ['invalid-frame', '', 'empty'],
    ['invalid-frame', '{', 'cut off'],
    ['invalid-frame', '[[[[[]]]]]', 'too deep'],
    ['invalid-frame', `${'['.repeat(900)}`, 'deep and cut off'],
    ['invalid-frame', '"\\"', 'open string'],
    ['invalid-frame', Buffer.from([0x22, 0xff, 0x22]), 'no UTF-8'],
    ['invalid-frame', '{"__proto__":{}}', 'prototype key'],
    ['invalid-frame', '{"a":[{"\\u005f_proto__":{}}]}', 'escaped prototype key'],
    ['too-large', `"${'a'.repeat(1_000)}"`, 'too many characters'],
    ['too-large', `"${'ä'.repeat(500)}"`, 'too many bytes'],
    ['too-large', Buffer.alloc(1_001, 0x20), 'too many bytes in a buffer'],
  ]
  for (const [code, input, name] of refused) throwsCode(t, code, () => parseJson(input, bounds), name)
})

t.test('prototype keys in content are dropped, ordinary words are kept', async t => {
  const text = '{"a":{"__proto__":{"polluted":1},"constructor":"Ferrari","prototype":2},"b":"__proto__"}'
  const value = parseJson(text, { ...bounds, prototypeKeys: 'strip' })
  t.same(value, { a: { constructor: 'Ferrari', prototype: 2 }, b: '__proto__' })
  t.equal(Reflect.get({}, 'polluted'), undefined)
})

t.test('depth is counted outside of strings only', async t => {
  t.equal(depthExceeds('[[[[', 4), false)
  t.equal(depthExceeds('[[[[[', 4), true)
  t.equal(depthExceeds('[],[],[],[],[]', 1), false)
  t.equal(depthExceeds('{"[[[[":"\\\\"}', 1), false)
})

t.test('the depth scan keeps up with large frames', async t => {
  const frame = JSON.stringify({
    image: 'A'.repeat(20_000_000),
    rows: Array.from({ length: 20_000 }, () => ['"']),
  })
  const startedAt = performance.now()
  t.equal(depthExceeds(frame, 64), false)
  t.ok(performance.now() - startedAt < 2_000, 'not quadratic')
})

const id = '7b0a5c1e-9c2f-4c53-9d0e-0123456789ab'

t.test('frames of both SDKs are understood', async t => {
  t.same(parseFrame(`{"type":"ACK","id":"${id}"}`), { type: 'ACK', id })
  t.same(parseFrame(`{"type":"ACK","id":"${id}","data":null}`), { type: 'ACK', id })
  t.same(parseFrame(`{"id":"${id}","data":"x","type":"MESSAGE","more":1}`), {
    type: 'MESSAGE',
    id,
    data: 'x',
  })
})

t.test('what is encoded here is parsed back', async t => {
  for (const data of ['', 'authenticated', '{"a":"\\"\\u2028\n"}', '\ud83d\udca5', '\u0000']) {
    t.same(parseFrame(encodeMessage(id, data)), { type: 'MESSAGE', id, data })
  }
  t.same(parseFrame(encodeAck(id)), { type: 'ACK', id })
})

t.test('malformed envelopes are refused', async t => {
  const frames = [
    'null',
    '[]',
    '"ping"',
    '{}',
    `{"type":"ACK"}`,
    `{"type":"MESSAGE","id":"${id}"}`,
    `{"type":"MESSAGE","id":"${id}","data":{}}`,
    `{"type":"message","id":"${id}","data":""}`,
    `{"type":"MESSAGE","id":1,"data":""}`,
    `{"type":"MESSAGE","id":"a\\"b","data":""}`,
    `{"type":"ACK","id":"${'a'.repeat(65)}"}`,
  ]
  for (const frame of frames) throwsCode(t, 'invalid-frame', () => parseFrame(frame), frame)
})
