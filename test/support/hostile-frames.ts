/**
 * An endless supply of frames that no SDK would send, repeatable by its seed: garbage, truncation, wrong types in every
 * place, prototype keys, deep nesting, unknown methods, forged ACKs and answers, and almost valid calls whose inner
 * texts are hostile. Used against the parsers directly and against a live socket.
 */

/** A number in [0, 1). */
export type Random = () => number

/** mulberry32: 32 bits of state, the same sequence for the same seed everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A seed for this run: `TEST_SEED` when it is set, otherwise a new one. */
export function runSeed(): number {
  const given = process.env.TEST_SEED
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given)
}

export function pick<Value>(random: Random, values: readonly Value[]): Value {
  const value = values[Math.floor(random() * values.length)]
  if (value === undefined && values.length === 0) throw new RangeError('nothing to pick from')
  return value as Value
}

const methods = [
  'INITIALIZE_HOST',
  'BEGIN_HOST_SHUTDOWN',
  ...Array<string>(8).fill('SEND_IO_CALL'),
  'SEND_PAGE',
  'SEND_LOADING_CALL',
  'SEND_LOG',
  'SEND_REDIRECT',
  'MARK_TRANSACTION_COMPLETE',
  'NOTIFY',
  'INITIALIZE_CLIENT',
  'RESPOND_TO_IO_CALL',
  'CONNECT_TO_TRANSACTION_AS_CLIENT',
  '__TEST_ONLY_REQUEST_DROP_CONNECTION',
  'INITIALIZE_PEER_CONNECTION',
  'START_TRANSACTION',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
]

const fields = [
  'transactionId',
  'ioCall',
  'pageKey',
  'page',
  'data',
  'index',
  'timestamp',
  'label',
  'title',
  'description',
  'itemsInQueue',
  'itemsCompleted',
  'result',
  'resultStatus',
  'url',
  'route',
  'action',
  'params',
  'replace',
  'actions',
  'groups',
  'callableActionNames',
  'sdkName',
  'sdkVersion',
  'requestId',
  'slug',
  'groupSlug',
  'access',
  'teams',
  'hasHandler',
  'message',
  'deliveryInstructions',
  'skipClientCall',
  'constructor',
  'prototype',
  'toString',
]

export const componentMethods = [
  'DISPLAY_CODE',
  'DISPLAY_TABLE',
  'DISPLAY_GRID',
  'DISPLAY_MARKDOWN',
  'INPUT_TEXT',
  'INPUT_EMAIL',
  'INPUT_NUMBER',
  'INPUT_SLIDER',
  'INPUT_URL',
  'INPUT_BOOLEAN',
  'INPUT_RICH_TEXT',
  'INPUT_DATE',
  'INPUT_TIME',
  'INPUT_DATETIME',
  'INPUT_SPREADSHEET',
  'UPLOAD_FILE',
  'SEARCH',
  'CONFIRM',
  'CONFIRM_IDENTITY',
  'SELECT_TABLE',
  'SELECT_SINGLE',
  'SELECT_MULTIPLE',
  'CREDENTIALS',
  'INPUT_HOLOGRAM',
] as const

const propNames = [
  'min',
  'max',
  'step',
  'decimals',
  'currency',
  'minLength',
  'maxLength',
  'options',
  'results',
  'data',
  'columns',
  'defaultValue',
  'allowedProtocols',
  'allowedExtensions',
  'fileUrls',
  'downloadUrl',
  'minSelections',
  'maxSelections',
  'year',
  'value',
  'key',
]

const texts = [
  '',
  ' ',
  'a',
  '1:0',
  'default:0',
  '0',
  '-1',
  'true',
  'null',
  '12:34:56',
  '2022-02-30T00:00:00.000Z',
  'https://example.com/',
  'javascript:alert(1)',
  '../../etc/passwd',
  '\u0000',
  '\ud800',
  '\u202e',
  '💥',
  '<script>alert(1)</script>',
  '{{7*7}}',
  '%s%s%n',
  "'; drop table hosts; --",
  '__proto__',
  'constructor.prototype',
]

const numbers = [0, -0, 1, -1, 0.1, 1e-7, 1e21, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 99999]

/** Any JSON value, seldom deep, seldom large. */
export function hostileValue(random: Random, level = 0): unknown {
  const kind = random()
  if (kind < 0.12) return null
  if (kind < 0.2) return random() < 0.5
  if (kind < 0.38) return pick(random, numbers)
  if (kind < 0.62 || level > 4) return hostileText(random)
  const length = Math.floor(random() * 4)
  if (kind < 0.8) return Array.from({ length }, () => hostileValue(random, level + 1))
  return Object.fromEntries(
    Array.from({ length }, () => [
      pick(random, random() < 0.5 ? fields : propNames),
      hostileValue(random, level + 1),
    ]),
  )
}

export function hostileText(random: Random): string {
  const kind = random()
  if (kind < 0.85) return pick(random, texts)
  if (kind < 0.99) {
    return String.fromCharCode(
      ...Array.from({ length: 1 + random() * 12 }, () => Math.floor(random() * 0xffff)),
    )
  }
  return pick(random, texts).repeat(1 + Math.floor(random() * 2_000))
}

/** superjson meta that names types and places at random. */
export function hostileMeta(random: Random): unknown {
  if (random() < 0.5) return undefined
  const types = [
    'undefined',
    'Date',
    'bigint',
    'number',
    'regexp',
    'set',
    'map',
    'Error',
    'URL',
    'symbol',
    '__proto__',
  ]
  const composite = [
    ['custom', 'time'],
    ['custom', 'constructor'],
    ['class', 'Object'],
    ['typed-array', 'Float64Array'],
    ['symbol', 'x'],
  ]
  const leaf = () => (random() < 0.8 ? [pick(random, types)] : [pick(random, composite)])
  const places = [
    '0',
    '1',
    '0.value',
    '1.0',
    '0.data.0',
    'options.0.value',
    'min',
    '__proto__',
    'constructor.prototype',
  ]
  const values: Record<string, unknown> = {}
  for (let count = random() * 4; count > 0; count--) {
    const tree = random() < 0.2 ? [pick(random, types), { [pick(random, places)]: leaf() }] : leaf()
    Object.defineProperty(values, pick(random, places), { value: tree, enumerable: true, configurable: true })
  }
  if (random() < 0.1) return { values: hostileValue(random) }
  return { values, ...(random() < 0.2 && { referentialEqualities: { '': ['0', '0.0'] } }) }
}

/** A text that may pass as an IO call, and whose props mostly do not fit. */
export function hostileIoCall(random: Random): unknown {
  if (random() < 0.1) return hostileValue(random)
  const props = () => {
    const chosen: Record<string, unknown> = {
      data: [],
      options: ['a', 1, { label: 'b', value: 'b' }],
      results: [{ label: 'x', value: '0:0' }],
      columns: { a: 'string', b: 'number?' },
      min: 1,
      max: 2,
    }
    for (let count = random() * 3; count > 0; count--) chosen[pick(random, propNames)] = hostileValue(random)
    return chosen
  }
  const component = () =>
    maybeHostile(random, {
      methodName: pick(random, componentMethods),
      label: maybeHostile(random, 'Label'),
      props: maybeHostile(random, props()),
      propsMeta: hostileMeta(random),
      isStateful: random() < 0.5,
      isOptional: random() < 0.3,
      isMultiple: random() < 0.2,
    })
  return {
    id: maybeHostile(random, uuid(random)),
    inputGroupKey: maybeHostile(random, uuid(random)),
    kind: maybeHostile(random, 'RENDER'),
    toRender: maybeHostile(random, Array.from({ length: Math.floor(random() * 4) }, component)),
    ...(random() < 0.2 && { choiceButtons: maybeHostile(random, [{ label: 'Yes', value: 'yes' }]) }),
    ...(random() < 0.1 && { continueButton: hostileValue(random) }),
  }
}

function maybeHostile<Value>(random: Random, value: Value): unknown {
  return random() < 0.04 ? hostileValue(random) : value
}

export function uuid(random: Random): string {
  const hex = () => Math.floor(random() * 16).toString(16)
  return 'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replaceAll('x', hex)
}

function hostileInput(random: Random, method: string): unknown {
  if (random() < 0.15) return hostileValue(random)
  const input: Record<string, unknown> = {}
  for (let count = random() * 5; count > 0; count--) input[pick(random, fields)] = hostileValue(random)
  if (random() < 0.9) {
    input.transactionId = maybeHostile(random, uuid(random))
    input.pageKey = maybeHostile(random, uuid(random))
  }
  if (method === 'SEND_IO_CALL') input.ioCall = innerText(random, hostileIoCall(random))
  if (method === 'SEND_PAGE') {
    input.page = innerText(random, {
      kind: 'BASIC',
      title: hostileValue(random),
      children: hostileIoCall(random),
    })
  }
  if (method === 'MARK_TRANSACTION_COMPLETE') {
    input.resultStatus = pick(random, ['SUCCESS', 'FAILURE', null, 'MAYBE'])
    input.result = innerText(random, {
      status: 'SUCCESS',
      data: hostileValue(random),
      meta: hostileMeta(random),
    })
  }
  if (method === 'INITIALIZE_HOST' && random() < 0.8) {
    input.actions = [{ slug: hostileText(random), access: hostileValue(random) }, hostileValue(random)]
  }
  return input
}

function innerText(random: Random, value: unknown): unknown {
  const text = JSON.stringify(value)
  const kind = random()
  if (kind < 0.85) return text
  if (kind < 0.9) return text.slice(0, random() * text.length)
  if (kind < 0.95)
    return text.replace('{', '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},')
  return hostileValue(random)
}

function message(random: Random, data: unknown): string {
  const id = random() < 0.95 ? uuid(random) : hostileValue(random)
  const type = random() < 0.97 ? 'MESSAGE' : hostileValue(random)
  return JSON.stringify({ type, id, data })
}

function rpc(random: Random): string {
  const method = pick(random, methods)
  return JSON.stringify({
    id: random() < 0.97 ? String(Math.floor(random() * 1e6)) : hostileValue(random),
    kind: random() < 0.8 ? 'CALL' : pick(random, ['RESPONSE', 'CALL_CHUNK', null]),
    methodName: random() < 0.98 ? method : hostileValue(random),
    data: hostileInput(random, method),
  })
}

/** The next hostile frame: text, or bytes that are no text. */
export function hostileFrame(random: Random): string | Buffer {
  const kind = random()
  if (kind < 0.7) return message(random, rpc(random))
  if (kind < 0.74) return message(random, hostileValue(random))
  if (kind < 0.78) return JSON.stringify(hostileValue(random))
  if (kind < 0.82) {
    const whole = message(random, rpc(random))
    return whole.slice(0, random() * whole.length)
  }
  if (kind < 0.86)
    return JSON.stringify({ type: 'ACK', id: random() < 0.5 ? uuid(random) : hostileValue(random) })
  if (kind < 0.89) return nested(random)
  if (kind < 0.92) {
    const whole = message(random, rpc(random))
    const key = pick(random, ['__proto__', '\\u005f_proto__', 'constructor', 'prototype', 'type', 'data'])
    return whole.replace('{', `{"${key}":${JSON.stringify(hostileValue(random))},`)
  }
  if (kind < 0.95) {
    const bytes = Buffer.from(message(random, rpc(random)))
    for (let count = 0; count < 3; count++)
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
    return random() < 0.5 ? bytes : bytes.toString('latin1')
  }
  if (kind < 0.98) return hostileText(random)
  return Buffer.from(Array.from({ length: Math.floor(random() * 64) }, () => Math.floor(random() * 256)))
}

function nested(random: Random): string {
  const depth = 1 + Math.floor(random() * (random() < 0.05 ? 20_000 : 200))
  const [open, close] = random() < 0.5 ? ['[', ']'] : ['{"a":', '}']
  const text = random() < 0.5 ? open.repeat(depth) : `${open.repeat(depth)}1${close.repeat(depth)}`
  if (random() < 0.3) return text
  return message(
    random,
    random() < 0.5 ? text : `{"id":"1","kind":"CALL","methodName":"SEND_LOG","data":${text}}`,
  )
}
