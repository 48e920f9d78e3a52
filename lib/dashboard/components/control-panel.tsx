/**
 * The panel at the foot of a transaction: logs, notifications (console), earlier runs. Collapsed at first; its logs
 * stay in the document while it is.
 */
import { type KeyboardEvent, type ReactNode, useEffect, useState } from 'react'
import type { Notification, Place } from '../../clients/wire.js'
import type { TransactionRow } from '../api.js'
import { formatDateTime } from '../format.js'
import { isConsole, transactionHref } from '../links.js'
import { useServices } from '../services.js'
import type { TransactionView } from '../transaction.js'
import { AppLink } from './app-link.js'
import { Icon } from './icon.js'
import { LedBy } from './led-by.js'
import { LogLines } from './log-lines.js'
import { PanelEdge, usePanelHeight } from './panel-height.js'

type Tab = 'Logs' | 'Notifications' | 'History'

export function ControlPanel({
  view,
  place,
  slug,
  isPast = false,
}: {
  view: TransactionView | null
  place: Place
  slug: string
  /** Told by the history, which knows nothing of what a console showed in passing. */
  isPast?: boolean
}) {
  const [selected, setSelected] = useState<Tab>('Logs')
  const [isExpanded, setExpanded] = useState(false)
  const height = usePanelHeight()
  const tabs: Tab[] = isConsole(place) && !isPast ? ['Logs', 'Notifications', 'History'] : ['Logs', 'History']
  const counts: Record<Tab, number> = {
    Logs: view?.logs.length ?? 0,
    Notifications: view?.notifications.length ?? 0,
    History: 0,
  }
  const press = (tab: Tab) => {
    setExpanded(!(isExpanded && tab === selected))
    setSelected(tab)
  }
  return (
    <section
      data-pw-control-panel=""
      data-pw-expanded={isExpanded}
      data-pw-selected={selected}
      aria-label="Details of this run"
      className="sticky bottom-0 z-20 border-t border-line bg-surface"
    >
      {isExpanded && <PanelEdge {...height} />}
      <div
        role="tablist"
        aria-label="Details"
        className="flex items-center gap-1 px-2 py-1 sm:px-6"
        onKeyDown={moveAmongTabs}
      >
        {tabs.map(tab => {
          const isCurrent = isExpanded && tab === selected
          return (
            <button
              key={tab}
              type="button"
              role="tab"
              data-pw-tab-id={tab}
              aria-selected={isCurrent}
              aria-controls={`panel-${tab}`}
              tabIndex={tab === selected ? 0 : -1}
              className={`button plain small ${isCurrent ? 'bg-sunken!' : 'text-muted'}`}
              onClick={() => press(tab)}
            >
              {tab}
              {counts[tab] > 0 && (
                <span className="rounded-full bg-accent-soft px-1.5 text-xs text-accent tabular-nums">
                  {counts[tab]}
                </span>
              )}
            </button>
          )
        })}
        <span className="ml-auto text-muted">
          <Icon name={isExpanded ? 'chevronDown' : 'chevronUp'} className="size-4" />
        </span>
      </div>
      <div hidden={!isExpanded} className="border-t border-line">
        <Panel tab="Logs" px={height.px} isHidden={selected !== 'Logs'}>
          <LogLines lines={view?.logs ?? []} isShown={isExpanded && selected === 'Logs'} />
        </Panel>
        {selected === 'Notifications' && (
          <Panel tab="Notifications" px={height.px}>
            <Notifications notifications={view?.notifications ?? []} />
          </Panel>
        )}
        {selected === 'History' && isExpanded && (
          <Panel tab="History" px={height.px}>
            <History place={place} slug={slug} view={view} />
          </Panel>
        )}
        {isExpanded && view !== null && !isPast && <LedBy transactionId={view.transactionId} />}
      </div>
    </section>
  )
}

/** The arrows go from tab to tab, as screen readers tell people; Enter or a blank opens one. */
function moveAmongTabs(event: KeyboardEvent<HTMLDivElement>): void {
  const tabs = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="tab"]')]
  const at = tabs.indexOf(document.activeElement as HTMLElement)
  const last = tabs.length - 1
  const next = {
    ArrowLeft: at === 0 ? last : at - 1,
    ArrowRight: at === last ? 0 : at + 1,
    Home: 0,
    End: last,
  }[event.key]
  if (at < 0 || next === undefined) return
  event.preventDefault()
  tabs[next]?.focus()
}

function Panel({
  tab,
  px,
  isHidden = false,
  children,
}: {
  tab: Tab
  px: number
  isHidden?: boolean
  children: ReactNode
}) {
  return (
    <div
      id={`panel-${tab}`}
      role="tabpanel"
      aria-label={tab}
      hidden={isHidden}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
      tabIndex={0}
      style={{ height: px }}
      className="max-h-[70dvh] overflow-y-auto px-4 py-3 outline-offset-[-2px] sm:px-8"
    >
      {children}
    </div>
  )
}

function Notifications({ notifications }: { notifications: readonly Notification[] }) {
  if (notifications.length === 0) return <p className="text-muted">Nothing was sent yet.</p>
  return (
    <ul className="grid gap-3">
      {notifications.map(notification => (
        <li key={notification.id} className="grid gap-0.5">
          <p className="font-medium">
            {notification.title === null || notification.title === ''
              ? notification.message
              : `${notification.title}: ${notification.message}`}
          </p>
          {notification.deliveries.map((delivery, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the same address may appear twice
            <p key={index} className="text-sm text-muted">
              {`Would have sent to ${delivery.to}${delivery.method === null ? '' : ` via ${delivery.method}`}`}
            </p>
          ))}
        </li>
      ))}
    </ul>
  )
}

const historyRowsMax = 50

const statusWords: Record<string, string> = {
  SUCCESS: 'Completed',
  FAILURE: 'Error',
  CANCELED: 'Canceled',
  REDIRECTED: 'Redirected',
  PENDING: 'Starting',
  AWAITING_INPUT: 'Waiting for an answer',
}

function History({ place, slug, view }: { place: Place; slug: string; view: TransactionView | null }) {
  const { api } = useServices()
  const [rows, setRows] = useState<readonly TransactionRow[] | null>(null)
  const { organization, environment } = place
  const hasEnded = view !== null && view.result !== null
  useEffect(() => {
    let isOver = false
    api.transactions({ organization, environment }, false).then(
      found => !isOver && setRows(found.filter(row => row.slug === slug).slice(0, historyRowsMax)),
      () => !isOver && setRows([]),
    )
    return () => {
      isOver = true
    }
  }, [api, organization, environment, slug])
  if (rows === null) return <span className="spinner block text-muted" />
  const earlier = rows.filter(row => row.id !== view?.transactionId)
  if (earlier.length === 0) return <p className="text-muted">No earlier runs.</p>
  return (
    <ul className="grid">
      {earlier.map(row => (
        <li key={row.id}>
          <AppLink
            href={transactionHref(place, row.id)}
            // Leaving a run that goes on would end it.
            {...(hasEnded || view === null ? {} : { target: '_blank' })}
            className="flex items-center gap-4 rounded-control px-2 py-1 outline-offset-[-2px] hover:bg-sunken"
          >
            <span className="flex-1">
              {row.startedAtMs === null ? row.id : formatDateTime(new Date(row.startedAtMs))}
            </span>
            <span className="text-muted">
              {statusWords[row.resultStatus ?? row.status] ?? 'In progress'}
              {!hasEnded && view !== null && <span className="sr-only">, opens in a new tab</span>}
            </span>
            <Icon name="chevronRight" className="size-4 text-muted" />
          </AppLink>
        </li>
      ))}
    </ul>
  )
}
