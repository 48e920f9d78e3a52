/** From the command to "ready": in an empty folder, and in one that was used before. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestServer } from '../support/server.js'
import { print, startPart } from './figures.js'

export async function starts(names: ReadonlySet<string>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'interval-bench-'))
  const alone = async () => {
    const part = await startPart('embedded.js', [join(folder, 'postgres')])
    await new Promise(resolve => part.child.once('exit', resolve))
    return (JSON.parse(part.firstLine) as { seconds: number }).seconds
  }
  const coldReference = await alone()
  const warmReference = await alone()
  rmSync(folder, { recursive: true, force: true })
  let startedAtMs = performance.now()
  const server = await TestServer.start({ isFirstStart: true })
  const cold = (performance.now() - startedAtMs) / 1_000
  await server.kill('SIGTERM')
  startedAtMs = performance.now()
  await server.run()
  const warm = (performance.now() - startedAtMs) / 1_000
  await server.stop()
  if (names.has('start-cold')) {
    print({
      name: 'start-cold',
      value: cold,
      unit: 's until ready',
      reference: coldReference,
      target: 'none',
    })
  }
  if (names.has('start-warm')) {
    print({
      name: 'start-warm',
      value: warm,
      unit: 's until ready',
      reference: warmReference,
      target: 'none',
    })
  }
}
