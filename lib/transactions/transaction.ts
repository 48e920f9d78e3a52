/**
 * The transaction: one run of an action. A pure function from state and message to changes; the partitions commit
 * them, the edges carry them. All that is promised about a run (an answer is taken once, a result is never replaced, a
 * repeat changes nothing) is promised here, and tested without a network.
 */
import type { AlarmMessage, Decision, DecisionContext, EntityKind } from '../partitions/entity.js'
import {
  decideAnswer,
  decideAttach,
  decideCancel,
  decideClientGone,
  decideLeave,
  decideRedirected,
  decideRefresh,
  decideStart,
} from './from-client.js'
import {
  decideComplete,
  decideDelivered,
  decideHostMissed,
  decideIoCall,
  decideLoading,
  decideLog,
  decideRedirect,
  decideStartWritten,
} from './from-host.js'
import {
  decideAlarm,
  decideHostAlive,
  decideHostBack,
  decideHostGone,
  decideHostLost,
  decideLocate,
  decideNotification,
} from './from-node.js'
import type { TransactionMessage } from './messages.js'
import { decideHostBound, decideHostUnreachable } from './starting.js'
import { loadTransaction, type TransactionState } from './state.js'
import { decideAllowUploads, decideUploaded, decideUploadWanted } from './uploads.js'

export const transactionKind: EntityKind<TransactionState, TransactionMessage> = {
  name: 'transaction',
  load: loadTransaction,
  brings: message => content.has(message.type),
  decide,
}

/** What a full disk cannot take; looking, coming back, cancelling and leaving are small, and cancelling makes room. */
const content: ReadonlySet<TransactionMessage['type'] | 'alarm'> = new Set([
  'start',
  'answer',
  'io-call',
  'loading',
  'log',
  'redirect',
  'complete',
  'notification',
  'allow-uploads',
] as const)

function decide(
  state: TransactionState,
  message: TransactionMessage | AlarmMessage,
  context: DecisionContext,
): Decision<TransactionState, unknown> {
  switch (message.type) {
    case 'start':
      return decideStart(state, message, context)
    case 'attach':
      return decideAttach(state, message, context)
    case 'answer':
      return decideAnswer(state, message, context)
    case 'cancel':
      return decideCancel(state, message, context)
    case 'leave':
      return decideLeave(state, message, context)
    case 'redirected':
      return decideRedirected(state, message, context)
    case 'client-gone':
      return decideClientGone(state, message, context)
    case 'io-call':
      return decideIoCall(state, message, context)
    case 'loading':
      return decideLoading(state, message, context)
    case 'log':
      return decideLog(state, message, context)
    case 'redirect':
      return decideRedirect(state, message, context)
    case 'complete':
      return decideComplete(state, message, context)
    case 'refresh':
      return decideRefresh(state, message, context)
    case 'host-missed':
      return decideHostMissed(state, message)
    case 'answer-delivered':
      return decideDelivered(state, message, context)
    case 'host-gone':
      return decideHostGone(state, message, context)
    case 'host-back':
      return decideHostBack(state, message, context)
    case 'host-alive':
      return decideHostAlive(state, message, context)
    case 'start-written':
      return decideStartWritten(state, message, context)
    case 'host-bound':
      return decideHostBound(state, message, context)
    case 'host-unreachable':
      return decideHostUnreachable(state, message, context)
    case 'host-lost':
      return decideHostLost(state, message, context)
    case 'notification':
      return decideNotification(state, message, context)
    case 'locate':
      return decideLocate(state)
    case 'allow-uploads':
      return decideAllowUploads(state, message, context)
    case 'upload-wanted':
      return decideUploadWanted(state, message)
    case 'uploaded':
      return decideUploaded(state, message, context)
    case 'alarm':
      return decideAlarm(state, message, context)
  }
}
