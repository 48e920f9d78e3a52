/** How a transaction ended: its kind and, when there is one, its value. */
import type { ReactNode } from 'react'
import type { TransactionResult } from '../../clients/wire.js'
import { addressOf, formatResult } from '../format.js'
import { isRecord } from '../props.js'
import { useServices } from '../services.js'
import { CopyButton } from './copy-button.js'
import { Icon } from './icon.js'
import { entriesOf, ObjectTree } from './object-tree.js'

const kinds = {
  SUCCESS: { words: 'Completed', tone: 'bg-success-soft text-success', icon: 'check' },
  FAILURE: { words: 'Error', tone: 'bg-danger-soft text-danger', icon: 'warning' },
  CANCELED: { words: 'Canceled', tone: 'bg-sunken text-muted', icon: 'close' },
  REDIRECTED: { words: 'Redirected', tone: 'bg-sunken text-muted', icon: 'chevronRight' },
} as const

/** `address`: where others see it, in the history. */
export function ResultView({ result, address }: { result: TransactionResult; address?: string }) {
  const { encoding } = useServices()
  const kind = kinds[result.status] ?? kinds.FAILURE
  return (
    <section className="card grid min-w-0 gap-4 p-5">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <span
          data-test-id="result-type"
          className={`inline-flex items-center gap-1.5 rounded-full px-2.5 py-0.5 text-sm font-medium ${kind.tone}`}
        >
          <Icon name={kind.icon} className="size-4" />
          {kind.words}
        </span>
        {address !== undefined && (
          <CopyButton text={address} words={['Share these results', 'Link copied']} />
        )}
      </div>
      {result.status === 'FAILURE' ? (
        <FailureView data={result.data} />
      ) : (
        <ValueView value={decoded(() => encoding.decode(result.data, result.meta), result.data)} />
      )}
    </section>
  )
}

/** A result whose meta does not fit is shown as the plain JSON it is. */
function decoded(decode: () => unknown, plain: unknown): unknown {
  try {
    return decode()
  } catch {
    return plain
  }
}

function FailureView({ data }: { data: unknown }) {
  const error = isRecord(data) ? data : {}
  const name = typeof error.error === 'string' ? error.error : 'Error'
  const message = typeof error.message === 'string' ? error.message : typeof data === 'string' ? data : ''
  return (
    <div data-test-id="transaction-result" className="grid gap-1 break-words">
      <p className="font-medium">{name}</p>
      {message !== '' && <p>{message}</p>}
      {typeof error.cause === 'string' && <p className="text-sm text-muted">Caused by {error.cause}</p>}
    </div>
  )
}

function ValueView({ value }: { value: unknown }) {
  if (value === null || value === undefined) return null
  const entries = entriesOf(value)
  return (
    <div data-test-id="transaction-result" className="min-w-0 overflow-x-auto">
      {entries === null ? (
        <p className="break-words whitespace-pre-wrap">
          <Scalar value={value} />
        </p>
      ) : (
        // No blanks between the cells: a key is followed by its value at once.
        <table className="w-full border-collapse text-left">
          <tbody className="divide-y divide-line">
            {entries.map(([key, inner]) => (
              <tr key={key}>
                <th scope="row" className="w-0 py-2 pr-6 align-top font-medium whitespace-nowrap text-muted">
                  {key}
                </th>
                <td className="py-2 align-top break-words">
                  {entriesOf(inner) === null ? <Scalar value={inner} /> : <ObjectTree value={inner} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  )
}

function Scalar({ value }: { value: unknown }): ReactNode {
  const words = formatResult(value)
  const address = typeof value === 'string' ? addressOf(value) : null
  if (address === null) return words
  return (
    <a className="link" href={address} rel="noreferrer">
      {words}
    </a>
  )
}
