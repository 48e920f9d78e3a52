/** The process: gives a command its surroundings and ends with its exit code. */
import type { CommandIo } from './command.js'
import { dispatch } from './dispatch.js'

// A reader that goes away (`… | head`) is not a failure of ours.
process.stdout.on('error', error => {
  if ('code' in error && error.code === 'EPIPE') process.exit(0)
  throw error
})

const io: CommandIo = {
  environment: process.env,
  folder: process.cwd(),
  input: process.stdin,
  output: process.stdout,
  print: line => void process.stdout.write(`${line}\n`),
  complain: line => void process.stderr.write(`${line}\n`),
  onStopSignal(handler) {
    process.on('SIGTERM', handler)
    process.on('SIGINT', handler)
    return () => {
      process.off('SIGTERM', handler)
      process.off('SIGINT', handler)
    }
  },
}

const code = await dispatch(process.argv.slice(2), io)
process.exitCode = code
// What is printed to a pipe is written later; end only after it is, but do not wait for a handle somebody forgot.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
