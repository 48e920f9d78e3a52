/** A group of actions, or a page with a layout of its own. */
import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { Directory, DirectoryPage, Place } from '../../clients/wire.js'
import type { PageLayout } from '../../sdk/io-call.js'
import { ActionList, SubNavigation } from '../components/action-list.js'
import { AppLink } from '../components/app-link.js'
import { Icon } from '../components/icon.js'
import { LoadingView } from '../components/loading-view.js'
import { Banner, Loading } from '../components/notice.js'
import { StepForm } from '../components/step-form.js'
import { useRedirect } from '../components/transaction-page.js'
import { ButtonLinks } from '../io/button-links.js'
import { actionHref, listHref } from '../links.js'
import { PageRunner } from '../page-runner.js'
import { isRecord } from '../props.js'
import { useLive, useServices } from '../services.js'
import { ancestorsOf, type Entry, entriesOf } from '../tree.js'
import { useTitle } from '../use-title.js'

interface GroupScreenProps {
  place: Place
  page: DirectoryPage
  search: string
  directory: Directory
}

export function GroupScreen({ place, page, search, directory }: GroupScreenProps) {
  const entries = entriesOf(directory, page.slug)
  const ancestors = ancestorsOf(directory, page.slug)
  useTitle(page.name)
  const crumbs = <Crumbs place={place} ancestors={ancestors} />
  if (page.hasHandler && page.mayOpen) {
    return <LayoutScreen place={place} page={page} search={search} entries={entries} crumbs={crumbs} />
  }
  return (
    <main className="mx-auto grid w-full max-w-4xl gap-6 px-4 py-6 sm:px-8 sm:py-8">
      <header className="grid gap-1">
        {crumbs}
        <h2 className="text-2xl font-semibold tracking-tight">{page.name}</h2>
        {page.description !== null && <p className="text-muted">{page.description}</p>}
      </header>
      <Entries place={place} entries={entries} />
    </main>
  )
}

function Entries({ place, entries }: { place: Place; entries: readonly Entry[] }) {
  if (entries.length > 0) return <ActionList place={place} entries={entries} />
  return <p className="text-muted">There is nothing in here that you can run.</p>
}

function Crumbs({ place, ancestors }: { place: Place; ancestors: readonly DirectoryPage[] }) {
  return (
    <nav aria-label="Breadcrumb" className="flex flex-wrap items-center gap-1 text-sm text-muted">
      <AppLink href={listHref(place)} className="hover:text-ink">
        Actions
      </AppLink>
      {ancestors.map(ancestor => (
        <span key={ancestor.slug} className="flex items-center gap-1">
          <Icon name="chevronRight" className="size-3.5" />
          <AppLink href={actionHref(place, ancestor.slug)} className="hover:text-ink">
            {ancestor.name}
          </AppLink>
        </span>
      ))}
    </nav>
  )
}

function LayoutScreen({
  place,
  page,
  search,
  entries,
  crumbs,
}: {
  place: Place
  page: DirectoryPage
  search: string
  entries: readonly Entry[]
  crumbs: React.ReactNode
}) {
  const { encoding, newId } = useServices()
  const { connection } = useLive()
  const { organization, environment } = place
  const { slug } = page
  const [runner, setRunner] = useState<PageRunner | null>(null)
  /** Grows when the page must be opened anew, on another host. */
  const [opening, setOpening] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: each opening has a runner of its own
  useEffect(() => {
    const made = new PageRunner({
      connection,
      encoding,
      newId,
      place: { organization, environment },
      slug,
      params: Object.fromEntries(new URLSearchParams(search)),
    })
    made.run()
    setRunner(made)
    return () => made.leave()
  }, [connection, encoding, newId, organization, environment, slug, search, opening])
  if (!runner) return <Loading />
  return (
    <Layout
      key={runner.pageKey}
      runner={runner}
      place={place}
      page={page}
      entries={entries}
      crumbs={crumbs}
      onReopen={() => setOpening(opening + 1)}
    />
  )
}

/** How long a host that is back may take to go on with its open pages, in ms. */
const sameHostMsMax = 1_500

/**
 * A page belongs to the host process that made it. When that does not come back but another one that serves the page
 * does, e.g. after a deploy, the page is opened there.
 */
function useReopenElsewhere(isOnline: boolean, isAway: boolean, onReopen: () => void): void {
  const wasOffline = useRef(!isOnline)
  const latest = useRef(onReopen)
  latest.current = onReopen
  useEffect(() => {
    if (!isOnline) wasOffline.current = true
    if (!isOnline || !isAway || !wasOffline.current) return
    const timer = setTimeout(() => {
      wasOffline.current = false
      latest.current()
    }, sameHostMsMax)
    return () => clearTimeout(timer)
  }, [isOnline, isAway])
}

function Layout({
  runner,
  place,
  page,
  entries,
  crumbs,
  onReopen,
}: {
  runner: PageRunner
  place: Place
  page: DirectoryPage
  entries: readonly Entry[]
  crumbs: React.ReactNode
  onReopen: () => void
}) {
  const { layout, hasRendered, loading, hostConnected, redirect, failure } = useSyncExternalStore(
    runner.subscribe,
    runner.getState,
  )
  useRedirect(null, place, redirect)
  const isUnserved = failure?.code === 'host-not-found' && !page.online
  const isAway = !hostConnected || failure?.code === 'host-not-found'
  useReopenElsewhere(page.online, isAway, onReopen)
  const hasNothing = hasRendered && layout === null
  const title = stillLoads(layout, 'title') ? null : (layout?.title ?? page.name)
  return (
    <main className="mx-auto grid w-full max-w-5xl content-start gap-6 px-4 py-6 sm:px-8 sm:py-8">
      <header className="grid gap-3">
        {crumbs}
        <div className="flex flex-wrap items-start justify-between gap-3">
          <div className="grid gap-1">
            {title === null ? (
              <span className="block h-8 w-48 animate-pulse rounded bg-sunken" />
            ) : (
              <h2 className="text-2xl font-semibold tracking-tight">{title}</h2>
            )}
            {stillLoads(layout, 'description') && (
              <span className="block h-4 w-64 animate-pulse rounded bg-sunken" />
            )}
            {typeof layout?.description === 'string' && <p className="text-muted">{layout.description}</p>}
          </div>
          <ButtonLinks items={(layout?.menuItems ?? []).filter(isRecord)} place={place} />
        </div>
        <SubNavigation place={place} entries={entries} />
      </header>
      {failure && !isUnserved && (
        <Banner tone="danger" role="alert">
          <div className="flex flex-wrap items-center gap-3">
            <p className="min-w-0 flex-1 basis-56 [overflow-wrap:anywhere]">{failure.message}</p>
            <button type="button" className="button small" onClick={onReopen}>
              Try again
            </button>
          </div>
        </Banner>
      )}
      {(!hostConnected || isUnserved) && (
        <Banner tone="warning" role="status">
          The host that serves this is away. It comes back by itself.
        </Banner>
      )}
      <LayoutErrors layout={layout} onReopen={onReopen} />
      {loading && <LoadingView loading={loading} />}
      {!hasRendered && !failure && !loading && <Loading />}
      {hasNothing && <Entries place={place} entries={entries} />}
      {layout?.children && (
        <StepForm
          key={layout.children.inputGroupKey}
          call={layout.children}
          place={place}
          draftKey={`${runner.pageKey}/${layout.children.inputGroupKey}`}
          isClosed={false}
          isSending={false}
          displaysWait={false}
          refused={undefined}
          onAnswer={() => undefined}
          onState={values => {
            const call = layout.children
            if (call) runner.setState(call.inputGroupKey, call.id, values)
          }}
        />
      )}
    </main>
  )
}

/** What could not be made is not waited for. */
function stillLoads(layout: PageLayout | null, key: 'title' | 'description'): boolean {
  return layout?.[key] === null && !layout.errors?.some(({ layoutKey }) => layoutKey === key)
}

function LayoutErrors({ layout, onReopen }: { layout: PageLayout | null; onReopen: () => void }) {
  const errors = layout?.errors ?? []
  if (errors.length === 0) return null
  return (
    <Banner tone="danger" role="alert">
      <div className="flex flex-wrap items-center gap-3">
        <ul className="grid min-w-0 flex-1 basis-56 gap-1 [overflow-wrap:anywhere]">
          {errors.map((error, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: errors have no identity but their place
            <li key={index}>
              <span className="font-medium">{error.error}</span>: <span>{error.message}</span>
            </li>
          ))}
        </ul>
        <button type="button" className="button small" onClick={onReopen}>
          Try again
        </button>
      </div>
    </Banner>
  )
}
