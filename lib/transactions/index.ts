export type { ClientSignal, HostCall, HostDelivery } from './change.js'
export {
  forgetRequest,
  type HttpHostAnswer,
  type HttpRequest,
  httpHostKey,
  wakeHost,
} from './http-request.js'
export { inputsOf, masked, type RecordedInput } from './inputs.js'
export type {
  Asker,
  Attached,
  HostReply,
  IdentityProof,
  Located,
  TransactionMessage,
  TransactionStart,
} from './messages.js'
export { noticesOf } from './notices.js'
export { type PageMessage, type PageOpened, type PageStart, pageKind } from './page.js'
export { type Group, loadTransaction, type Now, type TransactionState } from './state.js'
export { transactionKind } from './transaction.js'
