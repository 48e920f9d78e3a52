/**
 * A host in a process of its own, with the real SDK: `sample-host VERSION ENDPOINT KEY PREFIX`. It tells its parent
 * everything its actions get to see, so that a test can count how often each answer was taken.
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

/** How often to look whether the host is connected again, in ms. */
const lookMs = 2

/**
 * SDKs throw when an action calls in the very moment in which its connection closes, before they have noticed. An
 * action that is to outlive its server does this; what it must not have to do is wait for ever.
 *
 * The new call must come before the SDK repeats the one that failed, which it does once it is initialised again: then
 * both would be open, and only the newer is listened to. So it looks often.
 */
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

/** The class is not exported, and its instances have neither a name of their own nor a message. */
function isNotConnected(error: unknown): boolean {
  return error instanceof Error && error.constructor.name === 'NotConnectedError'
}

const host = sdkHost(version as SdkVersionName, {
  endpoint,
  apiKey,
  actions: {
    [`${prefix}_steps`]: async (io, ctx) => {
      const run = String(ctx.params.run)
      const note = (what: string, value: unknown = null): void => tell({ run, what, value })
      note('started')
      await persist(() => io.display.heading('Shown first'))
      const first = await persist(() => io.input.text('First'))
      note('first', first)
      for (let line = 0; line < 3; line++) await ctx.log('line', line)
      await ctx.loading.start('Working')
      await persist(() => io.display.markdown('Shown second'))
      const second = await persist(() => io.input.number('Second'))
      note('second', second)
      const sure = await persist(() => io.confirm('Sure?'))
      note('sure', sure)
      return { first, second, sure }
    },
    [`${prefix}_chatty`]: async (io, ctx) => {
      const run = String(ctx.params.run)
      tell({ run, what: 'started', value: null })
      // Calls are in flight at any moment: logs, displays and loading states are awaited one after another.
      for (let round = 0; round < 60; round++) {
        await ctx.log('round', round)
        await persist(() => io.display.markdown(`Round ${round}`))
        await ctx.loading.start(`Working ${round}`)
        await new Promise(resolve => setTimeout(resolve, 10))
      }
      tell({ run, what: 'done', value: null })
      return 'done'
    },
  },
  backgroundable: [`${prefix}_chatty`],
})
await host.listen()
tell({ run: '', what: 'listening', value: null })
