/** What the history knows of a run: who, when, where, with what, and what was entered in it. */
import { type ReactNode, useEffect, useState } from 'react'
import { type RunDetails as Details, runDetails } from '../api-history.js'
import { formatDateTime, formatDuration, formatResult } from '../format.js'
import { entriesOf, ObjectTree } from './object-tree.js'

export function RunDetails({ transactionId }: { transactionId: string }) {
  const [details, setDetails] = useState<Details | null>(null)
  useEffect(() => {
    let isOver = false
    runDetails(transactionId).then(
      found => !isOver && setDetails(found),
      // The result is worth showing without them.
      () => undefined,
    )
    return () => {
      isOver = true
    }
  }, [transactionId])
  if (details === null) return null
  const { endedAtMs, host, inputs, params, person, startedAtMs } = details
  const given = Object.entries(params)
  return (
    <>
      <section className="card p-5" aria-label="About this run">
        <dl className="grid gap-x-6 gap-y-3 sm:grid-cols-2">
          <Fact name="Started by">{person}</Fact>
          {startedAtMs !== null && <Fact name="Started">{formatDateTime(new Date(startedAtMs))}</Fact>}
          {endedAtMs !== null && (
            <Fact name="Ended">
              {formatDateTime(new Date(endedAtMs))}
              {startedAtMs !== null && ` · after ${formatDuration(endedAtMs - startedAtMs)}`}
            </Fact>
          )}
          {host !== null && (
            <Fact name="Host">
              <code className="font-mono text-sm break-all">{host}</code>
            </Fact>
          )}
          <Fact name="Run">
            <code className="font-mono text-sm break-all">{transactionId}</code>
          </Fact>
        </dl>
      </section>
      {given.length > 0 && (
        <section className="card grid gap-3 p-5" aria-labelledby="run-params">
          <h3 id="run-params" className="font-semibold">
            Started with
          </h3>
          <Values fields={given.map(([label, value]) => ({ label, value }))} />
        </section>
      )}
      {inputs.length > 0 && (
        <section className="card grid gap-3 p-5" aria-labelledby="run-inputs">
          <h3 id="run-inputs" className="font-semibold">
            What was entered
          </h3>
          <ol className="grid gap-4 divide-y divide-line">
            {inputs.map((input, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: steps never move.
              <li key={index} className="grid gap-2 not-first:pt-4">
                <p className="text-sm text-muted">
                  {formatDateTime(new Date(input.atMs))}
                  {input.choice !== null && ` · pressed “${input.choice}”`}
                </p>
                <Values fields={input.fields} />
              </li>
            ))}
          </ol>
        </section>
      )}
    </>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-sm text-muted">{name}</dt>
      <dd className="break-words">{children}</dd>
    </div>
  )
}

function Values({ fields }: { fields: readonly { label: string; value: unknown }[] }) {
  return (
    <dl className="grid gap-x-6 gap-y-2 sm:grid-cols-[minmax(0,14rem)_minmax(0,1fr)]">
      {fields.map(({ label, value }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: fields never move.
        <div key={index} className="contents">
          <dt className="break-words text-muted">{label}</dt>
          <dd className="mb-2 min-w-0 break-words whitespace-pre-wrap sm:mb-0">
            {value === null ? (
              <span className="text-muted">nothing</span>
            ) : entriesOf(value) === null ? (
              formatResult(value)
            ) : (
              <ObjectTree value={value} />
            )}
          </dd>
        </div>
      ))}
    </dl>
  )
}
