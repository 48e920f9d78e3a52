/** `run` as a process: ready, refused, stopped by a signal, and killed. */
import { existsSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../support/ports.js'
import { command, type StartedCommand, startCommand } from './command-process.js'

/** Resolves with everything printed so far once the text has appeared. */
function printed({ child, ended }: StartedCommand, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout?.on('data', (part: string) => {
      output += part
      if (output.includes(text)) resolve(output)
    })
    ended.then(outcome => reject(new Error(`ended before "${text}": ${JSON.stringify(outcome)}`)), reject)
  })
}

t.test(
  'a node starts, is the only one, stops by a signal and comes back after a kill',
  { timeout: 90_000 },
  async t => {
    const folder = t.testdir()
    const port = await freePort()
    const environment = { PORT: String(port), CHANNEL__PORT: '0', GHOST_MODE: 'x' }
    const first = startCommand(['run'], { folder, environment })
    t.teardown(() => first.child.kill('SIGKILL'))
    const start = await printed(first, 'Interval is ready')
    t.match(start, `Interval is ready at http://127.0.0.1:${port}\n`)
    t.equal((await fetch(`http://127.0.0.1:${port}/health/live`)).status, 200)

    const second = await command(['start', '-p', String(await freePort())], { folder, environment })
    t.equal(second.code, 1)
    t.match(
      second.errors,
      new RegExp(`in use by a node at http://127.0.0.1:${port} \\(pid ${first.child.pid} `),
    )
    const user = await command(['admin', 'createUser'], {
      folder,
      environment,
      input: '{"email":"a@example.com","password":"correct horse battery staple","createOrganization":true}',
    })
    t.match(JSON.parse(user.output), { email: 'a@example.com' }, 'through its socket')

    first.child.kill('SIGTERM')
    const end = await first.ended
    t.equal(end.code, 0, JSON.stringify(end))
    t.match(end.output, /stopping …\nstopped\n$/)
    t.equal(end.errors, 'GHOST_MODE has no effect: there are no anonymous organizations.\n')
    t.notOk(existsSync(join(folder, 'data', 'lock')))

    const killed = startCommand(['run'], { folder, environment })
    await printed(killed, 'Interval is ready')
    killed.child.kill('SIGKILL')
    await killed.ended
    t.ok(existsSync(join(folder, 'data', 'lock')))
    const found = await command(['admin', 'findUser'], {
      folder,
      environment,
      input: '{"email":"a@example.com"}',
    })
    t.match(JSON.parse(found.output), { email: 'a@example.com' }, 'without a node')
    t.equal(found.errors, '')

    const robbed = startCommand(['run'], { folder, environment })
    t.teardown(() => robbed.child.kill('SIGKILL'))
    await printed(robbed, 'Interval is ready')
    rmSync(join(folder, 'data', 'lock'))
    const left = await robbed.ended
    t.equal(left.code, 1, 'a node whose lock is gone does not go on')
    t.match(left.errors, /interval-server: The lock of .+data is gone or another process has it\.\n/)

    const taken = createServer().listen(port, '127.0.0.1')
    t.teardown(() => taken.close())
    const refused = await command(['run'], { folder, environment })
    t.equal(refused.code, 1)
    t.match(refused.errors, /\ninterval-server: Port \d+ on 127\.0\.0\.1 is in use\. [^\n]+\n$/)
    t.notOk(existsSync(join(folder, 'data', 'lock')), 'a start that failed leaves no lock')
  },
)
