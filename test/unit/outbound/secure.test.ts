/** The same over TLS: the certificate is checked, for the name in the URL. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { packageRoot } from '../../../lib/root.js'
import { testCertificate, testKey } from '../../support/certificate.js'
import { freePort } from '../../support/ports.js'

/** Asks both names from a process of its own, since what a process trusts is settled when it starts. */
const program = `
  import { Outbound } from ${JSON.stringify(join(packageRoot, 'dist/lib/outbound/index.js'))}
  const lookup = async () => [{ address: '127.0.0.1', family: 4 }]
  const outbound = new Outbound({ allow: ['127.0.0.1'], lookup })
  const results = []
  for (const name of ['receiver.example', 'receiver.example', 'other.example', '127.0.0.1']) {
    const url = 'https://' + name + ':' + process.argv[1] + '/'
    const result = await outbound.request({ method: 'POST', url, body: 'x', timeoutMs: 10_000 }).then(
      answer => answer.status,
      error => error.reason,
    )
    results.push(result)
  }
  outbound.close()
  console.log(JSON.stringify(results))
`

t.test('TLS', async t => {
  const seen: string[] = []
  let connections = 0
  const server = createServer({ key: testKey, cert: testCertificate }, (request, response) => {
    seen.push(`${request.headers.host} ${(request.socket as TLSSocket & { servername?: string }).servername}`)
    response.writeHead(202).end()
  })
  server.on('secureConnection', () => {
    connections += 1
  })
  server.on('tlsClientError', () => undefined)
  const port = await freePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const trusted = join(t.testdir(), 'trusted.pem')
  writeFileSync(trusted, testCertificate)

  const run = async (environment: Record<string, string>): Promise<unknown> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, String(port)], {
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    for await (const part of child.stdout) text += part
    return JSON.parse(text)
  }
  t.same(await run({ NODE_EXTRA_CA_CERTS: trusted }), [202, 202, 'unreachable', 'unreachable'])
  const expected = `receiver.example:${port} receiver.example`
  t.same(seen, [expected, expected], 'nothing was sent to a name the certificate is not for')
  const before = connections
  t.same(await run({}), ['unreachable', 'unreachable', 'unreachable', 'unreachable'])
  t.ok(before <= 3, 'the connection was kept')
  t.equal(seen.length, 2)
})
