/** What a mouse means in menus that keys are used in as well. */
import type { MouseEvent } from 'react'

/**
 * Handles what a mouse points at by being moved there; not what comes to lie under one at rest, because a menu opened or
 * was scrolled there: a key would then choose something else than it went to.
 */
export function whenPointedAt(then: () => void): (event: MouseEvent) => void {
  return ({ movementX, movementY }) => {
    if (movementX !== 0 || movementY !== 0) then()
  }
}
