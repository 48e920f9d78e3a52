/**
 * Keys that lead somewhere by themselves: `/` to the commands, `g h` home, `g s` to one's account. Pure; where they
 * count, and that they can be switched off, is in `components/use-shortcuts.ts`.
 */
export type SingleKeyGoal = 'commands' | 'home' | 'account'

/** The second key of two follows within this time, in ms. */
const pairMsMax = 1_000

/** Tells what the keys pressed so far mean; null as long as they mean nothing. */
export class SingleKeys {
  #firstAtMs = Number.NEGATIVE_INFINITY

  press(key: string, atMs: number): SingleKeyGoal | null {
    const isSecond = atMs - this.#firstAtMs <= pairMsMax
    this.#firstAtMs = key === 'g' ? atMs : Number.NEGATIVE_INFINITY
    if (key === '/') return 'commands'
    if (!isSecond) return null
    return key === 'h' ? 'home' : key === 's' ? 'account' : null
  }
}
