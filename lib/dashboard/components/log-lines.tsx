/** What an action logged, line by line; the end stays in view unless the person has scrolled away from it. */
import { memo, useLayoutEffect, useRef } from 'react'
import type { LogLine } from '../../clients/wire.js'
import { formatTime, partsOf } from '../format.js'

/** So near to the end counts as being there, in px. */
const endPx = 40

export function LogLines({ lines, isShown }: { lines: readonly LogLine[]; isShown: boolean }) {
  const list = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  useLayoutEffect(() => {
    const box = list.current?.parentElement
    if (!box || !isShown || lines.length === 0) return
    if (isAtEnd.current) box.scrollTop = box.scrollHeight
    const note = () => {
      isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < endPx
    }
    box.addEventListener('scroll', note)
    return () => box.removeEventListener('scroll', note)
  }, [lines, isShown])
  return (
    <>
      <div
        ref={list}
        role="log"
        data-pw-transaction-logs=""
        className="grid gap-0.5 font-mono text-[0.8125rem]"
      >
        {lines.map(line => (
          <Line key={line.index} line={line} />
        ))}
      </div>
      {lines.length === 0 && <p className="text-muted">Nothing was logged yet.</p>}
    </>
  )
}

/** Remembered: lines come by the thousand and never change. */
const Line = memo(({ line }: { line: LogLine }) => (
  // The clock is drawn by the style sheet: a line's text is the line alone.
  <div
    data-at={formatTime(new Date(line.atMs))}
    className="flex gap-4 after:ml-auto after:flex-none after:text-muted after:content-[attr(data-at)]"
  >
    <span className="min-w-0 break-words whitespace-pre-wrap">
      {partsOf(line.text).map(({ text, address }, index) =>
        address === null ? (
          text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts are known by their place in the line
          <a key={index} className="link" href={address} target="_blank" rel="noreferrer">
            {text}
          </a>
        ),
      )}
    </span>
  </div>
))
