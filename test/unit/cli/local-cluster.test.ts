/** `npm run cluster` with real nodes: one is killed, people notice nothing, it comes back. Long: only with TEST_LONG. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { adminSocketPathFor } from '../../../lib/config/index.js'
import type { ClusterStatus } from '../../../lib/http/index.js'
import { askAdmin } from '../../../lib/node/admin-socket.js'
import { eventually } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

const script = fileURLToPath(new URL('../../../lib/cli/local-cluster.js', import.meta.url))
const skip = process.env.TEST_LONG ? false : 'starts three nodes: only with TEST_LONG'

t.test('three nodes behind one port', { skip, timeout: 280_000 }, async t => {
  const path = mkdtempSync(join(tmpdir(), 'interval-cluster-'))
  const port = await freePort()
  const child = spawn(process.execPath, [script, '--port', String(port), '--path', path], {
    cwd: path,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      output += part
    })
  }
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  })
  const said = (text: string | RegExp) =>
    eventually(() => {
      if (!output.match(text)) throw new Error(`not said yet: ${text}\n${output}`)
    }, 120_000)

  await said(/each of its 256 partitions has 2 copies/)
  const address = `http://127.0.0.1:${port}`
  const [, email, password] = output.match(/login as (\S+) with the password (\S+)/) ?? []
  const signIn = async (): Promise<number> => {
    const response = await fetch(`${address}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: address, connection: 'close' },
      body: JSON.stringify({ email, password }),
    })
    return response.status
  }
  t.equal(await signIn(), 200)

  const pid = Number(/node 3 is ready at \S+ \(process (\d+)\)/.exec(output)?.[1])
  process.kill(pid, 'SIGKILL')
  for (let count = 0; count < 6; count += 1) t.equal(await signIn(), 200, 'any of the others answers')
  await said(/node 3 ended \(SIGKILL\)/)
  await said(/node 3 ended[\s\S]*node 3 is ready/)
  await eventually(async () => {
    const status = await askAdmin(adminSocketPathFor(join(path, 'node-1')), 'clusterStatus', {})
    const { unserved, degraded, nodes } = status as ClusterStatus
    if (unserved > 0 || degraded > 0) throw new Error(`${unserved} unserved, ${degraded} degraded`)
    if (nodes.some(node => node.report === null)) throw new Error('a node does not answer')
  }, 60_000)

  child.kill('SIGINT')
  t.equal(await ended, 0)
  t.match(output, 'stopping')
})
