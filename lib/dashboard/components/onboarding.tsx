/** The console without a host: everything that is needed to connect the first one, ready to be copied. */
import { useState } from 'react'
import type { Place } from '../../clients/wire.js'
import { useServices } from '../services.js'
import { CopyButton } from './copy-button.js'

export function Onboarding({ place, hosts }: { place: Place; hosts: number }) {
  const { api } = useServices()
  const [key, setKey] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const secure = window.location.protocol === 'https:'
  const endpoint = `${secure ? 'wss' : 'ws'}://${window.location.host}/websocket`
  const code = sample(endpoint, key)

  const create = async () => {
    setBusy(true)
    setProblem(null)
    try {
      const made = await api.createKey(place.organization, {
        kind: 'DEVELOPMENT',
        environment: 'development',
        label: 'First key',
      })
      setKey(made.key)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    } finally {
      setBusy(false)
    }
  }

  if (hosts > 0) {
    return (
      <section className="card grid justify-items-center gap-2 px-6 py-14 text-center">
        <h3 className="text-lg font-semibold">A host is connected</h3>
        <p className="text-muted">It has no listed action yet. Add one to your code and it appears here.</p>
      </section>
    )
  }
  return (
    <section className="card grid gap-8 p-6 sm:p-8">
      <div className="grid gap-1">
        <h3 className="text-lg font-semibold">Connect your first host</h3>
        <p className="text-muted">
          Three steps, five minutes. This screen changes by itself when it is there.
        </p>
      </div>
      <Step number={1} title="Make a key">
        {key === null ? (
          <>
            <button
              type="button"
              className="button primary justify-self-start"
              disabled={isBusy}
              onClick={create}
            >
              {isBusy && <span className="spinner" />}
              Create a development key
            </button>
            {problem !== null && <p className="text-sm text-danger">{problem}</p>}
          </>
        ) : (
          <>
            <Snippet text={key} />
            <p className="text-sm text-muted">
              Keep it: it is shown this once. It is in the code below already.
            </p>
          </>
        )}
      </Step>
      <Step number={2} title="Install the SDK">
        <Snippet text="npm install @interval/sdk" />
      </Step>
      <Step number={3} title="Write and run ten lines">
        <Snippet text={code} />
        <p className="text-sm text-muted">
          Save it as <code className="font-mono">interval.mjs</code> and run{' '}
          <code className="font-mono">node interval.mjs</code>.
        </p>
      </Step>
      <p role="status" className="flex items-center gap-3 text-sm text-muted">
        <span className="spinner" />
        Waiting for a host to connect
      </p>
    </section>
  )
}

function Step({ number, title, children }: { number: number; title: string; children: React.ReactNode }) {
  return (
    <div className="grid grid-cols-[2rem_minmax(0,1fr)] gap-x-3">
      <span className="grid size-8 place-items-center rounded-full bg-accent-soft text-sm font-semibold text-accent">
        {number}
      </span>
      <div className="grid gap-3 pt-1">
        <h4 className="font-medium">{title}</h4>
        {children}
      </div>
    </div>
  )
}

function Snippet({ text }: { text: string }) {
  return (
    <div className="relative">
      <pre className="code-block pr-24">
        <code>{text}</code>
      </pre>
      <div className="absolute top-1.5 right-1.5">
        <CopyButton text={text} />
      </div>
    </div>
  )
}

function sample(endpoint: string, key: string | null): string {
  return `import { Interval, io } from '@interval/sdk'

const interval = new Interval({
  apiKey: '${key ?? 'YOUR KEY'}',
  endpoint: '${endpoint}',
  routes: {
    hello: async () => {
      const name = await io.input.text('What is your name?')
      return \`Hello, \${name}!\`
    },
  },
})

await interval.listen()`
}
