/** Durable timers. See README.md beside this file. */
export { parseTimerBody } from './body.js'
export { type LoadedTransports, loadTransports } from './custom-transports.js'
export { type Callback, dataOf, givenData, type Retry, type TimerData } from './definition.js'
export { Firings, type Transport } from './firings.js'
export { httpTransport } from './http-transport.js'
export { type QueueDue, queueItemKind } from './queue-item.js'
export { type Firing, firingId, type TimerDefinition, type TimerRecord, timerKind } from './timer.js'
export { Timers } from './timers.js'
