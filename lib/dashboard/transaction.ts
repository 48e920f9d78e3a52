/**
 * What one window knows of a transaction, as pure functions. A snapshot replaces everything that the node told before;
 * events go on top of it. The node forgets answered steps, this window does not: with SDKs that append, they stay on
 * screen as they were answered, and a step that a later snapshot no longer has was answered on a reply that got lost.
 *
 * Invariant: `steps` holds each `inputGroupKey` once, with its newest render, ordered by `order`.
 */
import type { Events, LogLine, Step, TransactionSnapshot } from '../clients/wire.js'

export interface TransactionView extends TransactionSnapshot {
  /** Another window took over; nothing more will arrive here. */
  isUsurped: boolean
  /** Render ids of answers that the node has accepted, by group. */
  acceptedRenders: Readonly<Record<string, string>>
}

export type TransactionEvent = {
  [E in EventOfTransaction]: { event: E; data: Events[E] }
}[EventOfTransaction]

export type EventOfTransaction = Extract<keyof Events, `transaction.${string}`>

export const transactionEvents = [
  'transaction.render',
  'transaction.loading',
  'transaction.logs',
  'transaction.notification',
  'transaction.redirect',
  'transaction.completed',
  'transaction.snapshot',
  'transaction.usurped',
  'transaction.host',
] as const satisfies readonly EventOfTransaction[]

const logLinesMax = 10_000
const notificationsMax = 1_000
const stepsMax = 1_000

/** The view after a snapshot; `before` is what this window knew, if anything. */
export function viewOfSnapshot(
  before: TransactionView | null,
  snapshot: TransactionSnapshot,
): TransactionView {
  // A window that never showed an answered step does not show it now: its answer counts, what was typed is not here.
  const steps = before === null ? snapshot.steps.filter(step => !step.answered) : snapshot.steps
  const present = new Set(steps.map(step => step.call.inputGroupKey))
  const past = (before?.steps ?? [])
    .filter(step => !present.has(step.call.inputGroupKey))
    .map(step => ({ ...step, answered: true }))
  return {
    ...snapshot,
    logs: mergedLogs([], snapshot.logs),
    steps: [...past, ...steps].sort((a, b) => a.order - b.order),
    isUsurped: false,
    acceptedRenders: before?.acceptedRenders ?? {},
  }
}

/** The view after one event. */
export function viewAfter(view: TransactionView, { event, data }: TransactionEvent): TransactionView {
  switch (event) {
    case 'transaction.render':
      return {
        ...view,
        status: view.result ? view.status : 'awaiting-input',
        steps: withStep(view.steps, data.step),
      }
    case 'transaction.loading':
      return { ...view, loading: data.loading }
    case 'transaction.logs':
      return { ...view, logs: mergedLogs(view.logs, data.lines) }
    case 'transaction.notification': {
      const others = view.notifications.filter(known => known.id !== data.notification.id)
      return { ...view, notifications: [...others, data.notification].slice(-notificationsMax) }
    }
    case 'transaction.redirect':
      return { ...view, redirect: data.redirect }
    case 'transaction.completed':
      return { ...view, status: 'completed', result: data.result, loading: null }
    case 'transaction.snapshot':
      return view.isUsurped ? view : viewOfSnapshot(view, data)
    case 'transaction.usurped':
      return { ...view, isUsurped: true }
    case 'transaction.host':
      return { ...view, hostConnected: data.hostConnected }
  }
}

/** The view after the node has accepted an answer to this render of a group. */
export function viewAfterAnswer(
  view: TransactionView,
  inputGroupKey: string,
  renderId: string,
): TransactionView {
  return { ...view, acceptedRenders: { ...view.acceptedRenders, [inputGroupKey]: renderId } }
}

/** True when the step can no longer be answered as it stands; a later render opens it again. */
export function isAnswered(view: TransactionView, step: Step): boolean {
  return step.answered || view.acceptedRenders[step.call.inputGroupKey] === step.call.id
}

/** The steps to show: all of them, or only the newest for SDKs that show one at a time. */
export function visibleSteps(view: TransactionView): Step[] {
  return view.appends ? view.steps : view.steps.slice(-1)
}

function withStep(steps: readonly Step[], step: Step): Step[] {
  const others = steps.filter(other => other.call.inputGroupKey !== step.call.inputGroupKey)
  return [...others, step].sort((a, b) => a.order - b.order).slice(-stepsMax)
}

function mergedLogs(known: readonly LogLine[], more: readonly LogLine[]): LogLine[] {
  const byIndex = new Map([...known, ...more].map(line => [line.index, line]))
  return [...byIndex.values()].sort((a, b) => a.index - b.index || a.atMs - b.atMs).slice(-logLinesMax)
}
