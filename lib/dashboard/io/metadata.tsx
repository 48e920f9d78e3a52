/** DISPLAY_METADATA: labels with values, as a grid, a list or a card. Promised values arrive with later renders. */
import type { Place } from '../../clients/wire.js'
import { LinkItem } from '../components/link-item.js'
import { formatResult } from '../format.js'
import { targetOf } from '../links.js'
import { recordsOf, textOf } from '../props.js'
import { displayMethod, type FieldProps } from './method.js'
import { Picture, pictureSource } from './picture.js'

export const metadata = displayMethod(({ component, place }: FieldProps<unknown>) => {
  const layout = textOf(component.props, 'layout') ?? 'grid'
  const items = recordsOf(component.props, 'data')
  return (
    <div className="grid min-w-0 gap-3">
      {component.label !== '' && <h4 className="font-semibold">{component.label}</h4>}
      <dl
        className={
          layout === 'list'
            ? 'grid divide-y divide-line'
            : `grid gap-x-8 gap-y-4 sm:grid-cols-2 lg:grid-cols-3 ${layout === 'card' ? 'card p-5' : ''}`
        }
      >
        {items.map((item, index) => (
          <div
            // biome-ignore lint/suspicious/noArrayIndexKey: items have no identity but their place
            key={index}
            className={layout === 'list' ? 'flex justify-between gap-6 py-2' : 'grid content-start gap-0.5'}
          >
            <dt className="text-sm text-muted">{textOf(item, 'label')}</dt>
            <dd className="min-w-0 break-words">
              <Value item={item} place={place} />
            </dd>
          </div>
        ))}
      </dl>
    </div>
  )
})

/** What is promised is there as undefined; what an item has not, is not there. */
const promisedKeys = ['value', 'url', 'image', 'route', 'action']

function Value({ item, place }: { item: Record<string, unknown>; place: Place }) {
  const error = textOf(item, 'error')
  if (error !== undefined) return <span className="text-danger">{error}</span>
  const target = targetOf(item, place)
  const isEmpty = item.value === undefined && target === null && pictureSource(item.image) === null
  if (isEmpty && promisedKeys.some(key => Object.hasOwn(item, key)))
    return <span className="block h-4 w-24 animate-pulse rounded bg-sunken" />
  const words = formatResult(item.value)
  return (
    <>
      <Picture image={item.image} words={words} className="mb-1" />
      {target === null ? (
        <span>{words === '' ? '–' : words}</span>
      ) : (
        <LinkItem target={target}>{words === '' ? target.href : words}</LinkItem>
      )}
    </>
  )
}
