/** A process that opens the data directory given to it, says so, and holds it until it is ended. */
import { openDataDirectory } from '../../../lib/config/index.js'

const [path = '', command = 'run', address = 'http://127.0.0.1:3000'] = process.argv.slice(2)
const none = { server: null, nodes: null, cookie: null }
try {
  const directory = await openDataDirectory(path, { secrets: none, command, address })
  process.stdout.write('held\n')
  process.on('message', message => {
    if (message !== 'release') return
    directory.close()
    process.exit(0)
  })
  process.on('disconnect', () => process.exit(0))
} catch (error) {
  process.stdout.write(`refused: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
