/** Buttons that a press is not lost on when they move away under it. */
import { type PointerEvent, useRef } from 'react'

/** How far a pointer that is pressed may wander and still mean what it was pressed on, in px. */
const wanderPxMax = 12

/**
 * Handlers for buttons. A press takes the focus from the field one was in, and what was typed there is taken over: a
 * sentence about it goes, a row is added below it, and the button is elsewhere when the pointer is released. It gets the
 * click all the same, unless the pointer itself was moved away.
 */
export function useSteadyPress(): {
  onPointerDown: (event: PointerEvent) => void
  onPointerMove: (event: PointerEvent) => void
} {
  const began = useRef({ x: 0, y: 0 })
  return {
    onPointerDown: ({ currentTarget, pointerId, clientX: x, clientY: y }) => {
      began.current = { x, y }
      currentTarget.setPointerCapture(pointerId)
    },
    onPointerMove: ({ currentTarget, pointerId, clientX, clientY }) => {
      if (!currentTarget.hasPointerCapture(pointerId)) return
      const { x, y } = began.current
      if (Math.hypot(clientX - x, clientY - y) > wanderPxMax) currentTarget.releasePointerCapture(pointerId)
    },
  }
}
