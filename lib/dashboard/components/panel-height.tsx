/**
 * The upper edge of the panel at the foot of a run: dragged, or moved with the keyboard as a splitter is (arrows, Page
 * Up and Down, Home, End). A double click gives the panel its first height again. It never takes the whole screen.
 */
import { type KeyboardEvent, type PointerEvent, useState } from 'react'
import { useServices } from '../services.js'

const firstPx = 256
const pxMin = 96
/** Of the window's height. */
const shareMax = 0.7
const stepPx = 32

export interface PanelHeight {
  readonly px: number
  readonly set: (px: number) => void
}

/** Kept by the window over a reload. */
export function usePanelHeight(): PanelHeight {
  const { memory } = useServices()
  const [px, setPx] = useState(() => bounded(memory.panelHeight() ?? firstPx))
  return {
    px,
    set: wanted => {
      const next = bounded(wanted)
      setPx(next)
      memory.savePanelHeight(next)
    },
  }
}

export function PanelEdge({ px, set }: PanelHeight) {
  const keys: Readonly<Record<string, number>> = {
    ArrowUp: px + stepPx,
    ArrowDown: px - stepPx,
    PageUp: px + 4 * stepPx,
    PageDown: px - 4 * stepPx,
    Home: pxMin,
    End: pxMax(),
  }
  const press = (event: KeyboardEvent) => {
    const next = keys[event.key]
    if (next === undefined) return
    event.preventDefault()
    set(next)
  }
  const drag = (event: PointerEvent<HTMLHRElement>) => {
    if (event.button !== 0) return
    event.preventDefault()
    const edge = event.currentTarget
    const from = event.clientY
    edge.setPointerCapture(event.pointerId)
    const move = (to: globalThis.PointerEvent) => set(px + from - to.clientY)
    const end = () => edge.removeEventListener('pointermove', move)
    edge.addEventListener('pointermove', move)
    edge.addEventListener('lostpointercapture', end, { once: true })
  }
  return (
    <hr
      aria-orientation="horizontal"
      aria-label="Height of the panel"
      aria-valuenow={px}
      aria-valuemin={pxMin}
      aria-valuemax={pxMax()}
      tabIndex={0}
      className="absolute inset-x-0 -top-1 z-10 h-2 cursor-row-resize touch-none border-0 outline-offset-[-3px] hover:bg-accent/40"
      onKeyDown={press}
      onPointerDown={drag}
      onDoubleClick={() => set(firstPx)}
    />
  )
}

function pxMax(): number {
  return Math.max(pxMin, Math.floor(window.innerHeight * shareMax))
}

function bounded(px: number): number {
  return Math.min(pxMax(), Math.max(pxMin, Math.round(px)))
}
