/** Which addresses are public, and what an allow-list adds. */
import t from 'tap'
import { isPublic, parseAddress, parseNetwork } from '../../../lib/outbound/address.js'
import { Outbound, parseAllowList } from '../../../lib/outbound/index.js'

const refused = [
  '0.0.0.0',
  '0.255.255.255',
  '10.0.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '169.254.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.170',
  '192.0.2.1',
  '192.168.255.255',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.7',
  '203.0.113.7',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:a00:1',
  '::ffff:0:10.0.0.1',
  '64:ff9b::127.0.0.1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::808:808',
  '100::1',
  '2001::1',
  '2001:2::1',
  '2001:20::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '2002:a9fe:a9fe::1',
  '3fff::1',
  '4000::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
]

const permitted = [
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.1',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '192.169.0.0',
  '223.255.255.255',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
  '2001:4860:4860::8888',
  '2002:808:808::1',
  '2606:4700:4700::1111',
  '2a00:1450:4001:81b::200e',
]

t.test('only public unicast addresses are public', async t => {
  for (const text of refused) t.equal(isPublicText(text), false, text)
  for (const text of permitted) t.equal(isPublicText(text), true, text)
})

t.test('addresses are read exactly', async t => {
  t.equal(parseAddress('::1'), 1n)
  t.equal(parseAddress('1::'), 1n << 112n)
  t.equal(parseAddress('1:2:3:4:5:6:7:8'), 0x00010002000300040005000600070008n)
  t.equal(parseAddress('::ffff:1.2.3.4'), parseAddress('1.2.3.4'))
  t.equal(parseAddress('1.2.3.4'), 0xffff_0102_0304n)
  for (const text of ['', '1.2.3', '1.2.3.256', '01.2.3.4', '1:2', 'localhost', '[::1]'])
    t.equal(parseAddress(text), undefined, text)
  for (const text of ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.1/8', '10.0.0.0/-1'])
    t.equal(parseNetwork(text), undefined, text)
})

t.test('an allow-list adds networks, addresses and names, and nothing else', async t => {
  const list = parseAllowList([
    '10.1.0.0/16',
    '192.168.0.7',
    'fd00::/8',
    'Receiver.Internal',
    ' *.example.com ',
  ])
  const permits = (text: string): boolean => list.permits(parseAddress(text) ?? 0n)
  for (const text of [
    '10.1.2.3',
    '::ffff:10.1.2.3',
    '64:ff9b::10.1.2.3',
    '192.168.0.7',
    'fd12::1',
    '8.8.8.8',
  ])
    t.equal(permits(text), true, text)
  for (const text of ['10.2.0.0', '192.168.0.8', 'fc00::1', '127.0.0.1', '::1'])
    t.equal(permits(text), false, text)
  for (const name of ['receiver.internal', 'receiver.internal.', 'a.example.com', 'a.b.example.com'])
    t.equal(list.permitsName(name), true, name)
  for (const name of ['example.com', 'badexample.com', 'a.receiver.internal', 'example.com.evil.org', ''])
    t.equal(list.permitsName(name), false, name)
  t.equal(parseAllowList(['::/0']).permits(parseAddress('10.0.0.1') ?? 0n), false, 'IPv6 only')
  t.equal(parseAllowList(['0.0.0.0/0']).permits(parseAddress('::1') ?? 0n), false, 'IPv4 only')
})

t.test('a wrong entry is named', async t => {
  for (const entry of [
    '',
    '*',
    '*.',
    '10.0.0.0/99',
    '10.0.0.1/8',
    'http://example.com',
    'example.com:80',
    'a b',
    '-a.example',
    'a..b',
    '127.1',
    '2130706433',
    '0x7f.1',
    'a.*.example.com',
    'x'.repeat(300),
  ])
    t.throws(() => parseAllowList(['ok.example', entry]), { message: `"${entry}" is not a network` }, entry)
  t.throws(() => new Outbound({ allow: ['nope nope'] }), /nope nope/)
})

t.test('a URL is judged after what it means, not how it is written', async t => {
  const outbound = new Outbound({ allow: [] })
  t.teardown(() => outbound.close())
  for (const url of [
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://127.0.0.1./',
    'http://１２７.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[0:0:0:0:0:ffff:7f00:1]/',
    'http://0/',
    'https://169.254.169.254/latest/meta-data',
  ])
    t.match(outbound.refusal(url), /is not a public address and not allowed here\.$/, url)
  for (const [url, sentence] of [
    ['', /empty/],
    ['nonsense', /not valid/],
    ['http://', /not valid/],
    ['http://1.2.3.4.5.6/', /not valid/],
    ['ftp://example.com/', /not ftp\.$/],
    ['file:///etc/passwd', /not file\.$/],
    ['javascript:1', /not javascript\.$/],
    ['http://user@example.com/', /password/],
    ['http://:secret@example.com/', /password/],
    [`http://example.com/${'x'.repeat(9_000)}`, /longer than 8192/],
  ] as const)
    t.match(outbound.refusal(url), sentence, url.slice(0, 40))
  for (const url of [
    'http://example.com',
    'https://8.8.8.8:8443/a?b#c',
    'http://example.com/ü?ß',
    'HTTP://EXAMPLE.COM',
  ])
    t.equal(outbound.refusal(url), undefined, url)
  t.equal(outbound.refusal(undefined as unknown as string), 'The URL is empty.')
})

t.test('what is remembered of URLs changes no answer', async t => {
  const outbound = new Outbound({ allow: ['127.0.0.2'] })
  t.teardown(() => outbound.close())
  let wrong = 0
  for (let round = 0; round < 3; round += 1)
    for (let index = 0; index < 1_500; index += 1)
      for (const [host, isRefused] of [
        ['127.0.0.2', false],
        ['127.0.0.3', true],
      ] as const)
        if ((outbound.refusal(`http://${host}/${index}`) !== undefined) !== isRefused) wrong += 1
  t.equal(wrong, 0)
})

function isPublicText(text: string): boolean | undefined {
  const address = parseAddress(text)
  return address === undefined ? undefined : isPublic(address)
}
