/** DISPLAY_GRID: cards with a picture, words and a menu. Filters and pages as a table does; it is never sorted. */
import { useState } from 'react'
import type { Place } from '../../clients/wire.js'
import { LinkItem } from '../components/link-item.js'
import { safeMediaUrl, targetOf } from '../links.js'
import { flagOf, isRecord, numberOf, type Props, textOf } from '../props.js'
import { displayMethod, type FieldProps } from './method.js'
import type { Row } from './table-model.js'
import { emptyText, Filter, Pagination, RowMenu } from './table-view.js'
import { useTable } from './use-table.js'

/** What a grid is filtered by: the words on its cards. */
const columns = ['label', 'title', 'description'].map(name => ({
  label: name,
  cellKey: name,
  accessorKey: name,
}))
const columnWidthPx = 240
const columnWidthPxMin = 80

export const grid = displayMethod(DisplayGrid)

function DisplayGrid({ id, component, place, onState }: FieldProps<unknown>) {
  const { props, label } = component
  const help = textOf(props, 'helpText')
  return (
    <div className="grid min-w-0 gap-2">
      {label !== '' && <p className="font-medium">{label}</p>}
      {help !== undefined && help !== '' && <p className="text-sm text-muted">{help}</p>}
      <Cards id={id} props={props} place={place} onState={onState} />
    </div>
  )
}

function Cards({
  id,
  props,
  place,
  onState,
}: {
  id: string
  props: Props
  place: Place
  onState: ((state: unknown) => void) | undefined
}) {
  const state = useTable(props, onState, columns)
  const width = Math.max(columnWidthPxMin, numberOf(props, 'idealColumnWidth') ?? columnWidthPx)
  const isEmpty = state.page.length === 0
  const isFilterable = flagOf(props, 'isFilterable', true)
  return (
    <div className="iv-grid grid min-w-0 gap-3" aria-busy={state.isWaiting}>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        {isFilterable && <Filter state={state} id={id} />}
        {!isEmpty && (
          <div className="ml-auto">
            <Pagination state={state} />
          </div>
        )}
      </div>
      <div
        data-pw-search={state.query}
        className="grid gap-4"
        style={{ gridTemplateColumns: `repeat(auto-fill, minmax(min(100%, ${width}px), 1fr))` }}
      >
        {isEmpty && <p className="card col-span-full px-4 py-8 text-center text-muted">{emptyText(state)}</p>}
        {state.page.map(row => (
          <Card key={row.key} row={row} place={place} />
        ))}
      </div>
      {!isEmpty && (
        <div className="flex justify-end">
          <Pagination state={state} />
        </div>
      )}
    </div>
  )
}

function Card({ row, place }: { row: Row; place: Place }) {
  const { cells } = row
  const target = targetOf(cells, place)
  const label = textOf(cells, 'label') ?? textOf(cells, 'title') ?? ''
  const description = textOf(cells, 'description')
  const menu = Array.isArray(cells.menu) ? cells.menu.filter(isRecord) : row.menu
  const hasWords = label !== '' || (description !== undefined && description !== '')
  return (
    // Suites tell the items by this role, which is none of ARIA's.
    // biome-ignore lint/a11y/useValidAriaRole: see above
    <div role="grid-cell" className="card relative flex min-w-0 flex-col">
      <Picture cells={cells} label={label} isAlone={!hasWords} />
      {hasWords && (
        <div className={`grid gap-1 p-4 ${menu.length > 0 ? 'pr-12' : ''}`}>
          {target === null ? (
            label !== '' && <p className="font-medium break-words">{label}</p>
          ) : (
            <p className="font-medium break-words">
              <LinkItem target={target} className="hover:underline after:absolute after:inset-0">
                {label === '' ? target.href : label}
              </LinkItem>
            </p>
          )}
          {description !== undefined && description !== '' && (
            <p className="text-sm break-words text-muted">{description}</p>
          )}
        </div>
      )}
      {!hasWords && target !== null && (
        <LinkItem target={target} className="absolute inset-0">
          <span className="sr-only">{target.href}</span>
        </LinkItem>
      )}
      {menu.length > 0 && (
        <div className="absolute right-2 bottom-2 z-10 rounded-control bg-surface">
          <RowMenu items={menu} place={place} />
        </div>
      )}
    </div>
  )
}

/** The box keeps its shape whether the picture loads or not. */
function Picture({ cells, label, isAlone }: { cells: Props; label: string; isAlone: boolean }) {
  const [hasFailed, setFailed] = useState(false)
  if (!isRecord(cells.image)) return null
  const { image } = cells
  const source = safeMediaUrl(textOf(image, 'url') ?? '')
  const ratio = numberOf(image, 'aspectRatio')
  return (
    <div
      className={`overflow-hidden bg-sunken ${isAlone ? 'rounded-card' : 'rounded-t-card'}`}
      style={{ aspectRatio: ratio !== undefined && ratio > 0 ? ratio : 16 / 9 }}
    >
      {source !== null && source !== '' && (
        <img
          src={source}
          alt={textOf(image, 'alt') || label || 'Picture'}
          loading="lazy"
          className={`size-full ${textOf(image, 'fit') === 'contain' ? 'object-contain' : 'object-cover'} ${hasFailed ? 'p-4 text-sm text-muted' : ''}`}
          onError={() => setFailed(true)}
        />
      )}
    </div>
  )
}
