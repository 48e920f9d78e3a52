/**
 * A host whose actions go on until they are told to stop: `steady-host VERSION ENDPOINT KEY PREFIX`. Its one action asks
 * question after question; between an answer and the next question it does what its run asks for, so that a node that
 * is killed at any moment meets every kind of call. It tells its parent each answer an action got, as it got it.
 */
import { type SdkVersionName, sdkHost } from '../support/sdk-host.js'
import type { HostNote } from './host-process.js'

const [version = '2.0.0', endpoint = '', apiKey = '', prefix = ''] = process.argv.slice(2)

const tell = (note: HostNote): void => {
  process.send?.(note)
}

// SDKs reject promises that nobody holds when a connection is lost in the middle; that is not the end of a host.
process.on('unhandledRejection', error => tell({ run: '', what: 'unhandled', value: String(error) }))
process.on('disconnect', () => process.exit())

const lookMs = 2
/** The oldest SDK knows no validators. */
const validates = version !== '0.21.0'

function isNotConnected(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error.constructor.name === 'NotConnectedError' || String(error).includes('NotConnected'))
  )
}

/** SDKs throw when an action calls in the very moment in which its connection closes: the action asks once more. */
async function persist<Result>(call: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isNotConnected(error)) throw error
      do await new Promise(resolve => setTimeout(resolve, lookMs))
      while (!host.isConnected)
    }
  }
}

const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

const host = sdkHost(version as SdkVersionName, {
  endpoint,
  apiKey,
  retryIntervalMs: 300,
  actions: {
    [`${prefix}_steady`]: async (io, ctx) => {
      const run = String(ctx.params.run)
      const mode = String(ctx.params.mode)
      const note = (what: string, value: unknown = null): void => tell({ run, what, value })
      note('started')
      for (let question = 1; ; question++) {
        const answer = await persist(() => {
          const asked = io.input.text(`Question ${question}`)
          return validates ? asked.validate(async value => note('validated', value)) : asked
        })
        note('answer', answer)
        if (answer === 'stop') return 'stopped'
        for (let round = 0; round < 5; round++) {
          note('before', `${mode} ${question} ${round}`)
          if (mode === 'log') await persist(() => ctx.log(`question ${question} line ${round}`))
          if (mode === 'display') await persist(() => io.display.markdown(`Displayed ${question} ${round}`))
          if (mode === 'loading') await persist(() => ctx.loading.start(`Loading ${question} ${round}`))
          if (mode === 'compute') await pause(40)
        }
        note('after', `${mode} ${question}`)
      }
    },
  },
})
await host.listen()
tell({ run: '', what: 'listening', value: null })
