/** `admin` through the socket of a running node, also of one that is just starting. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openDataDirectory } from '../../../lib/config/index.js'
import { AppError } from '../../../lib/errors.js'
import { type AdminHandler, listenAdmin } from '../../../lib/node/admin-socket.js'
import { command, startCommand } from './command-process.js'

const handler: AdminHandler = async (operation, argument) => {
  if (operation === 'findUser') return { argument }
  if (operation === 'nothing') return null
  throw new AppError('not-found', `There is no ${operation}.`)
}

t.test('arguments and results are JSON, failures one line', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'admin-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const directory = await openDataDirectory(join(folder, 'data'), {
    secrets: { server: null, nodes: null, cookie: null },
    command: 'run',
  })
  // Started before the node listens: it waits.
  const early = startCommand(['admin', 'findUser'], { folder, input: '{"email":"early@example.com"}' })
  const server = await listenAdmin(directory.adminSocketPath, handler)
  t.teardown(async () => {
    await server.close()
    directory.close()
  })
  t.same(JSON.parse((await early.ended).output), { argument: { email: 'early@example.com' } })

  const found = await command(['admin', 'findUser'], { folder, input: '{"email":"a@example.com"}\n' })
  t.same(found, { code: 0, output: '{"argument":{"email":"a@example.com"}}\n', errors: '' })
  t.same((await command(['admin', 'nothing'], { folder })).output, 'null\n')
  t.same((await command(['admin', 'findUser'], { folder })).output, '{"argument":{}}\n')
  t.same(await command(['admin', 'somebody'], { folder }), {
    code: 1,
    output: '',
    errors: 'interval-server: There is no somebody.\n',
  })
  const damaged = await command(['admin', 'findUser'], { folder, input: '{"email":' })
  t.same(damaged, {
    code: 1,
    output: '',
    errors: 'interval-server: Standard input must hold one JSON value.\n',
  })
})
