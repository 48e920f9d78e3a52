/** Items that hosts put beside headings and layout titles: links drawn as buttons. */
import type { Place } from '../../clients/wire.js'
import { LinkItem } from '../components/link-item.js'
import { targetOf } from '../links.js'
import { flagOf, textOf } from '../props.js'

export function ButtonLinks({ items, place }: { items: readonly Record<string, unknown>[]; place: Place }) {
  if (items.length === 0) return null
  return (
    <ul className="flex flex-wrap gap-2">
      {items.map((item, index) => {
        const target = targetOf(item, place)
        const label = textOf(item, 'label') ?? ''
        const isOff = flagOf(item, 'disabled') || target === null
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: items have no identity but their place
          <li key={index}>
            {isOff ? (
              <button type="button" className="button" disabled>
                {label}
              </button>
            ) : (
              <span className={`btn ${themeClass(item.theme)}`}>
                <LinkItem target={target} className="">
                  {label}
                </LinkItem>
              </span>
            )}
          </li>
        )
      })}
    </ul>
  )
}

/** Classes of a button for a theme that a host named. */
export function themeClass(theme: unknown): string {
  if (theme === 'danger') return 'danger bg-red-500'
  if (theme === 'primary') return 'primary'
  return ''
}
