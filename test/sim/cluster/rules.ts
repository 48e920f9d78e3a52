/**
 * The rules of the protocol, one by one: what is switched off for each, and what the simulation then finds.
 *
 * A seed is the first one, from 1 on, that notices; `npm run test:long` fails when it is another one by now, and names it.
 * The table in test/README.md is made from this by `npm run sim -- --rules`.
 */
import type { RulesOff } from '../../../lib/partitions/rules.js'

/** Rules that are kept outside of the partitions, which the simulation itself can switch off as well. */
export interface SimRulesOff extends RulesOff {
  /** What follows from a change is only said, not stored with it. */
  readonly effects?: boolean
  /** A render that a host says again is taken for a new one. */
  readonly renders?: boolean
  /** Calls that were lost with a connection are not settled on the next. */
  readonly settled?: boolean
  /** A host is told of what passes. */
  readonly held?: boolean
  /** A history row takes the place of any other. */
  readonly newest?: boolean
  /** What is written is not synced. */
  readonly synced?: boolean
}

export type Switch = keyof SimRulesOff

/** What a switch does, and how that is noticed. */
export interface Absence {
  readonly off: Switch
  /** In the words of a table. */
  readonly breaks: string
  /** What the first problem that is found says. */
  readonly problem: RegExp
  /** Absent where it takes some hundred: then only the long form looks. */
  readonly seed?: number
}

export interface Rule {
  readonly number: number
  readonly name: string
  readonly absences: readonly Absence[]
  /** Why it cannot show in the simulation, or not all of it, and what shows it. */
  readonly elsewhere?: string
}

export const rules: readonly Rule[] = [
  {
    number: 1,
    name: 'A member is (node, store, boot)',
    absences: [
      {
        off: 'storeIdentity',
        breaks: 'a wiped disk leads or follows with nothing on it',
        problem: /I2|I9|lost/,
        seed: 1,
      },
    ],
    elsewhere: 'copies of a directory: `sim/cluster/identity.test.ts`',
  },
  {
    number: 2,
    name: 'No number is used twice',
    absences: [
      { off: 'predecessor', breaks: 'a copy with a hole counts', problem: /I2/, seed: 190 },
      { off: 'raisedEpoch', breaks: 'one number gets two contents', problem: /I1/ },
    ],
  },
  {
    number: 3,
    name: 'Configuration changes carry a nonce',
    elsewhere: 'an answer that was lost: `sim/cluster/hand-over.test.ts`, `sim/cluster/diverged.test.ts`',
    absences: [
      {
        off: 'removalKnown',
        breaks: 'what is acknowledged is not on a member that may lead',
        problem: /I2/,
        seed: 4,
      },
      {
        off: 'caughtUp',
        breaks: 'a member lacks what was written while it was copied to',
        problem: /I2/,
        seed: 12,
      },
    ],
  },
  {
    number: 4,
    name: 'The highest position leads',
    absences: [
      {
        off: 'positions',
        breaks: 'whoever swaps first leads, with less than others have',
        problem: /rule 4|I2/,
        seed: 20,
      },
    ],
  },
  {
    number: 5,
    name: 'Evidence of death',
    absences: [
      { off: 'evidence', breaks: 'who is not heard for a moment is succeeded', problem: /rule 5/, seed: 1 },
    ],
  },
  {
    number: 6,
    name: 'Minority waits',
    absences: [{ off: 'majority', breaks: 'the smaller side takes what it can', problem: /rule 6/, seed: 5 }],
    elsewhere: 'what it tells browsers and hosts: `sim/cluster/minority.test.ts`',
  },
  {
    number: 7,
    name: 'Start',
    absences: [
      { off: 'asksAtStart', breaks: 'copies that are equal are thrown away', problem: /rule 7/, seed: 1 },
    ],
  },
  {
    number: 8,
    name: 'Single copy',
    absences: [{ off: 'restored', breaks: 'a copy stays the only one', problem: /rule 8/, seed: 1 }],
    elsewhere: '`replication:min-copies`: `sim/cluster/minority.test.ts`',
  },
  {
    number: 9,
    name: 'Hand-over',
    absences: [
      {
        off: 'drained',
        breaks: 'the next leader lacks what is being worked on',
        problem: /rule 9/,
        seed: 11,
      },
    ],
    elsewhere: 'that sessions do not notice: `sim/cluster/leave.test.ts`',
  },
  {
    number: 10,
    name: 'Barrier',
    absences: [
      { off: 'confirm', breaks: 'a leader that was replaced answers reads', problem: /was read/, seed: 88 },
    ],
  },
  {
    number: 11,
    name: 'Sends are fenced',
    absences: [
      {
        off: 'epochs',
        breaks: 'what a leader said that was replaced still counts',
        problem: /I4/,
        seed: 3,
      },
    ],
    elsewhere: 'each case by itself: `sim/cluster/late.test.ts`',
  },
  {
    number: 12,
    name: 'Rewound Postgres',
    absences: [{ off: 'setBack', breaks: 'old rows are followed', problem: /I[1239]/, seed: 6 }],
    elsewhere: '`ring adopt`: `sim/cluster/adopt.test.ts`',
  },
  {
    number: 13,
    name: 'Effects are records',
    absences: [
      {
        off: 'followersFirst',
        breaks: 'effects and replies leave before their cause is on the copies',
        problem: /I2/,
        seed: 1,
      },
      { off: 'effects', breaks: 'an effect is lost with its leader', problem: /effect/, seed: 4 },
    ],
  },
  {
    number: 14,
    name: 'Answers to hosts',
    absences: [
      { off: 'renders', breaks: 'a question that was answered is asked again', problem: /I5/, seed: 1 },
    ],
  },
  {
    number: 15,
    name: 'Calls from hosts',
    absences: [{ off: 'settled', breaks: 'an action waits for ever', problem: /I6/, seed: 11 }],
  },
  {
    number: 16,
    name: 'Hosts are held, not refused',
    absences: [
      { off: 'held', breaks: 'an action is told of what would have passed', problem: /I6/, seed: 46 },
    ],
  },
  {
    number: 17,
    name: 'History rows',
    absences: [{ off: 'newest', breaks: 'an older row replaces a newer one', problem: /I8/, seed: 2 }],
    elsewhere:
      'the statement itself: `unit/accounts/accounts.test.ts`; a full outbox: `unit/partitions/runtime.test.ts`',
  },
  {
    number: 18,
    name: 'The directory',
    absences: [],
    elsewhere: 'saves writes, and no promise rests on it: `unit/hosts/host-entities.test.ts` counts them',
  },
  {
    number: 19,
    name: 'Founding',
    absences: [],
    elsewhere:
      'what would be lost belongs to another cluster, of which no client of this one knows: `sim/cluster/identity.test.ts`, `cluster/growing.test.ts`',
  },
  {
    number: 20,
    name: 'fsync',
    absences: [
      { off: 'synced', breaks: 'what was acknowledged is lost with the power', problem: /I2|lost/, seed: 1 },
    ],
  },
  {
    number: 21,
    name: 'Threads',
    absences: [],
    elsewhere:
      'a simulated disk has no threads: `unit/cli/commands.test.ts`, `unit/accounts/passwords.test.ts`',
  },
  {
    number: 22,
    name: 'Node time',
    absences: [{ off: 'nodeTime', breaks: 'an alarm comes early', problem: /I7/, seed: 126 }],
    elsewhere: 'the arithmetic: `unit/partitions/node-time.test.ts`',
  },
]

/** The table, as it stands in test/README.md. */
export function rulesTable(): string {
  const rows = [['rule', 'switched off', 'then', 'found by seed', 'and what a seed cannot show']]
  for (const { absences, elsewhere = '', name, number } of rules) {
    const title = `${number}. ${name}`
    if (absences.length === 0) rows.push([title, '', '', '', elsewhere])
    for (const [index, { breaks, off, seed }] of absences.entries()) {
      const [left, right] = index === 0 ? [title, elsewhere] : ['', '']
      rows.push([left, `\`${off}\``, breaks, String(seed ?? 'the long form'), right])
    }
  }
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
  const lines = rows.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)))
  lines.splice(
    1,
    0,
    widths.map(width => '-'.repeat(width)),
  )
  return lines.map(line => `| ${line.join(' | ')} |`).join('\n')
}
