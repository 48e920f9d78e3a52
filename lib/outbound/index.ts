/** HTTP requests to addresses that others name: the public face of this folder. */
export { AllowList, parseAllowList } from './allow-list.js'
export { Outbound, type OutboundOptions } from './outbound.js'
export { OutboundError, type OutboundFailure } from './outbound-error.js'
export type { OutboundRequest, OutboundResponse } from './outbound-request.js'
