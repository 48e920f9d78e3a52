/**
 * Events as text. The one that carries a whole IO call, perhaps of megabytes, takes the call's text as it was made when
 * the call was stored.
 */
import { ioCallText } from '../sdk/index.js'
import type { EventName, Events } from './wire.js'

export function eventText<Name extends EventName>(event: Name, data: Events[Name]): string {
  return event === 'transaction.render'
    ? renderText(data as Events['transaction.render'])
    : JSON.stringify({ event, data })
}

function renderText({ transactionId, step }: Events['transaction.render']): string {
  const { call, ...rest } = step
  const restText = JSON.stringify(rest).slice(1)
  return `{"event":"transaction.render","data":{"transactionId":"${transactionId}","step":{"call":${ioCallText(call)},${restText}}}`
}
