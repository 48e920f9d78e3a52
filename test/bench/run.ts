/** Runs the benchmarks named on the command line, or all: one JSON line a figure. */
import { gossipIdle, owners } from './cluster-idle.js'
import { failovers } from './failovers.js'
import { handover } from './handover.js'
import { idleHostSocket } from './idle-host-socket.js'
import { commitReplicated, forwardedRoundtrip, ioRoundtrip } from './io-roundtrip.js'
import { pendingTransactions } from './pending.js'
import { besideSkyring } from './skyring.js'
import { starts } from './starts.js'
import { millionTimers, pendingTimers, timerCreates, timerFire } from './timers.js'

const groups: readonly { names: readonly string[]; run: (names: ReadonlySet<string>) => Promise<void> }[] = [
  { names: ['io-roundtrip'], run: ioRoundtrip },
  { names: ['forwarded-roundtrip'], run: forwardedRoundtrip },
  { names: ['idle-host-socket'], run: idleHostSocket },
  { names: ['idle-transaction', 'restart-100k'], run: pendingTransactions },
  { names: ['start-cold', 'start-warm'], run: starts },
  { names: ['commit-replicated'], run: commitReplicated },
  { names: ['gossip-idle'], run: gossipIdle },
  { names: ['owners'], run: owners },
  { names: ['handover'], run: handover },
  { names: ['failover'], run: failovers },
  { names: ['timer-create', 'timer-create-replicated'], run: timerCreates },
  { names: ['timer-late-p99'], run: timerFire },
  { names: ['pending-timer', 'recover-timers'], run: pendingTimers },
  { names: ['million-timers'], run: millionTimers },
]

/** Needs what `npm ci` does not bring: run only when it is named. */
const rare = { names: ['skyring'], run: besideSkyring }

const known = groups.flatMap(group => group.names)
const asked = process.argv.slice(2)
const unknown = asked.find(name => !known.includes(name))
if (unknown !== undefined && !rare.names.includes(unknown)) {
  process.stderr.write(
    `There is no benchmark ${JSON.stringify(unknown)}. There are: ${[...known, ...rare.names].join(', ')}.\n`,
  )
  process.exit(2)
}
const names = new Set(asked.length > 0 ? asked : known)
for (const group of groups) {
  if (group.names.some(name => names.has(name))) await group.run(names)
}
if (asked.includes('skyring')) await rare.run()
process.exit()
