/** Entries of one level: groups and pages to open, actions to run. What no connected host serves cannot be clicked. */
import type { Place } from '../../clients/wire.js'
import { actionHref } from '../links.js'
import type { Entry } from '../tree.js'
import { AppLink } from './app-link.js'
import { Icon } from './icon.js'

export function ActionList({ place, entries }: { place: Place; entries: readonly Entry[] }) {
  return (
    <ul data-pw-actions-list="" className="card divide-y divide-line overflow-hidden">
      {entries.map(entry => (
        <li key={entry.slug}>
          {entry.online ? (
            <AppLink
              href={actionHref(place, entry.slug)}
              {...(entry.kind === 'action'
                ? { 'data-pw-run-slug': entry.slug }
                : { 'data-pw-action-group': entry.slug })}
              className="group flex items-center gap-4 px-4 py-3 outline-offset-[-2px] hover:bg-sunken"
            >
              <EntryIcon entry={entry} />
              <EntryWords entry={entry} />
              <Icon
                name="chevronRight"
                className="size-4 text-muted transition-transform group-hover:translate-x-0.5"
              />
            </AppLink>
          ) : (
            <div className="flex items-center gap-4 px-4 py-3 text-muted">
              <EntryIcon entry={entry} />
              <EntryWords entry={entry} />
              <span className="text-sm whitespace-nowrap text-muted">
                {entry.kind === 'action' && entry.viewOnly ? 'View only' : 'Offline'}
              </span>
            </div>
          )}
        </li>
      ))}
    </ul>
  )
}

/** Links to what is inside a page that shows a layout of its own. */
export function SubNavigation({ place, entries }: { place: Place; entries: readonly Entry[] }) {
  const open = entries.filter(entry => entry.kind === 'page' || !entry.viewOnly)
  if (open.length === 0) return null
  return (
    <ul className="flex flex-wrap gap-x-1 gap-y-1 border-b border-line pb-3">
      {open.map(entry => (
        <li key={entry.slug}>
          <AppLink
            href={actionHref(place, entry.slug)}
            data-pw-run-slug={entry.slug}
            className="flex items-center gap-1.5 rounded-control px-2.5 py-1 text-sm text-accent hover:bg-accent-soft"
          >
            <Icon name={entry.kind === 'action' ? 'play' : 'folder'} className="size-4" />
            {entry.name}
          </AppLink>
        </li>
      ))}
    </ul>
  )
}

function EntryIcon({ entry }: { entry: Entry }) {
  return (
    <span
      className={`grid size-9 flex-none place-items-center rounded-control ${
        entry.kind === 'action' ? 'bg-accent-soft text-accent' : 'bg-sunken text-muted'
      }`}
    >
      <Icon name={entry.kind === 'action' ? 'play' : 'folder'} className="size-4.5" />
    </span>
  )
}

function EntryWords({ entry }: { entry: Entry }) {
  return (
    <span className="min-w-0 flex-1">
      <span className="block truncate font-medium">{entry.name}</span>
      {entry.description !== null && entry.description !== '' && (
        <span className="block truncate text-sm text-muted">{entry.description}</span>
      )}
    </span>
  )
}
