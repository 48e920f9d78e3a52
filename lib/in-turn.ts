import { type PauseClock, pause } from './pause.js'

/** Does something with each of many, spread evenly over a time, so that not all of them come back at once elsewhere. */
export async function inTurn<Item>(
  items: readonly Item[],
  spreadMs: number,
  clock: PauseClock,
  act: (item: Item) => void | Promise<void>,
): Promise<void> {
  const stepMs = spreadMs / Math.max(1, items.length)
  await Promise.all(
    items.map(async (item, place) => {
      if (place > 0) await pause(clock, place * stepMs)
      await act(item)
    }),
  )
}
