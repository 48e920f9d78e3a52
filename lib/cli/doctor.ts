/** `doctor`: looks at everything a start depends on and says, line by line, what is wrong and what to do about it. */
import { type LoadedConfig, lockHolderOf, systemProcesses } from '../config/index.js'
import { type Command, jsonFlag } from './command.js'
import { describe } from './describe.js'
import {
  type Check,
  checkDescriptors,
  checkDisk,
  checkPeers,
  checkPorts,
  checkSecrets,
  checkSettings,
} from './doctor-machine.js'

export const doctorCommand: Command = {
  name: 'doctor',
  usage: '',
  summary:
    'checks configuration, ports, disk, database, clock, limits and peers; exit 1 when something fails',
  flags: [jsonFlag],
  async run({ flags, io, configuration }) {
    const checks: Check[] = []
    let loaded: LoadedConfig | null = null
    try {
      loaded = configuration()
    } catch (error) {
      checks.push({ name: 'configuration', status: 'fail', text: describe(error) })
    }
    if (loaded !== null) {
      const { config } = loaded
      const running = lockHolderOf(config.storage.path, systemProcesses())
      checks.push(...checkSettings(loaded))
      checks.push(...checkSecrets(config))
      checks.push(...(await checkPorts(config, running)))
      checks.push(...(await checkDisk(config, running)))
      const { checkClock, checkDatabase } = await import('./doctor-database.js')
      const { checks: databaseChecks, clockOffsetMs } = await checkDatabase(config, running)
      checks.push(...databaseChecks, checkClock(Date.now(), clockOffsetMs), checkDescriptors())
      checks.push(...(await checkPeers(config)))
    }
    if (flags.has('json')) io.print(JSON.stringify(checks, null, 2))
    else for (const check of checks) io.print(lineOf(check))
    return checks.some(check => check.status === 'fail') ? 1 : 0
  },
}

function lineOf({ status, name, text, advice }: Check): string {
  return `${status.padEnd(4)}  ${name.padEnd(14)} ${text}${advice === undefined ? '' : ` → ${advice}`}`
}
