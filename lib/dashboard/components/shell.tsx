/**
 * The frame around every signed-in screen: organization, groups, the switch between live and console, the account.
 * Nothing here but links and buttons: on an action's screen the first field of the document is the form's own.
 */
import { MenuButton, MenuItem, MenuProvider } from '@ariakit/react'
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react'
import { useLocation } from 'react-router'
import type { Place } from '../../clients/wire.js'
import type { Organization } from '../api.js'
import {
  accountHref,
  actionHref,
  clusterHref,
  historyHref,
  isConsole,
  keysHref,
  listHref,
  organizationHref,
  parseRoute,
  placeHref,
} from '../links.js'
import { sectionsFor } from '../screens/organization/section-list.js'
import { useDirectory, useLive } from '../services.js'
import { actionOf, emptyDirectory, entriesOf } from '../tree.js'
import { AppLink } from './app-link.js'
import { Bell, type News, useNews } from './bell.js'
import { CommandBarComing } from './command-bar-coming.js'
import { Mark } from './entrance.js'
import { Icon, type IconName } from './icon.js'
import { Menu } from './menu.js'
import { useShortcuts } from './use-shortcuts.js'
import { useTypedAhead } from './use-typed-ahead.js'
import { DrawnWords, Words } from './words.js'

const CommandBar = lazy(() => import('./command-bar.js'))
const isApple = /Mac|iP(hone|ad|od)/.test(navigator.platform)

export function Shell({
  place,
  organization,
  children,
}: {
  place: Place
  organization: Organization
  children: ReactNode
}) {
  const [isOpen, setOpen] = useState(false)
  const [isCommanding, setCommanding] = useState(false)
  const { pathname } = useLocation()
  const content = useRef<HTMLDivElement>(null)
  const ahead = useTypedAhead(() => setCommanding(false))
  const beginCommands = () => {
    if (!isCommanding) ahead.begin()
    setCommanding(true)
  }
  const endCommands = () => {
    ahead.take()
    setCommanding(false)
  }
  useShortcuts(place, beginCommands)
  // biome-ignore lint/correctness/useExhaustiveDependencies: any navigation closes the drawer
  useEffect(() => setOpen(false), [pathname])
  useClosedPlace(place)
  const news = useNews(isConsole(place) ? null : place.organization)
  const isRunning = useIsRunning(place)
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[15rem_minmax(0,1fr)]">
      <DrawnWords value={isRunning}>
        <button type="button" className="skip button" onClick={() => content.current?.focus()}>
          <Words>Skip to content</Words>
        </button>
        <aside className="sticky top-0 hidden h-dvh flex-col border-r border-line bg-surface md:flex">
          <Navigation
            place={place}
            organization={organization}
            id="desktop-nav"
            news={news}
            onCommands={beginCommands}
          />
        </aside>
      </DrawnWords>
      <header className="sticky top-0 z-30 flex items-center gap-3 border-b border-line bg-surface px-4 py-2.5 md:hidden">
        <button
          type="button"
          className="button plain small"
          aria-expanded={isOpen}
          aria-label="Navigation"
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name={isOpen ? 'close' : 'menu'} />
        </button>
        <h1 className="truncate font-semibold">{organization.name}</h1>
        <PlaceBadge place={place} organization={organization} />
        <span className="ml-auto">
          {!isConsole(place) && <Bell organization={place.organization} news={news} />}
        </span>
        <button
          type="button"
          className="button plain small"
          aria-label="Commands"
          aria-haspopup="dialog"
          onClick={beginCommands}
        >
          <Icon name="search" />
        </button>
      </header>
      {isOpen && (
        <section
          aria-label="Navigation"
          className="fixed inset-x-0 top-[3.3rem] bottom-0 z-30 flex flex-col overflow-y-auto bg-surface md:hidden"
        >
          <Navigation place={place} organization={organization} id="mobile-nav" />
        </section>
      )}
      <div
        ref={content}
        tabIndex={-1}
        className="flex min-h-[calc(100dvh-3.3rem)] min-w-0 flex-col outline-none md:min-h-dvh"
      >
        {children}
      </div>
      {isCommanding && (
        <Suspense fallback={<CommandBarComing text={ahead.typed.text} />}>
          <CommandBar place={place} takeTyped={ahead.take} onClose={endCommands} />
        </Suspense>
      )}
    </div>
  )
}

/**
 * Whether an action runs on screen. The names of groups are anybody's words, and stand before its form: there they are
 * drawn only, so that whoever looks a field up by its label does not find "Pages" for "Age".
 */
function useIsRunning(place: Place): boolean {
  const { directory } = useDirectory(place)
  const route = parseRoute(useLocation().pathname)
  return route.screen === 'action' && (directory === null || actionOf(directory, route.slug) !== undefined)
}

/** The place was closed to this person while they looked at it: who they are and where they may go is asked anew. */
function useClosedPlace(place: Place): void {
  const { refresh } = useLive()
  const code = useDirectory(place).failure?.code
  useEffect(() => {
    if (code === 'second-factor-required' || code === 'not-found') void refresh()
  }, [code, refresh])
}

function Navigation({
  place,
  organization,
  id,
  news,
  onCommands,
}: {
  place: Place
  organization: Organization
  id: string
  /** For its bell, where it has one. */
  news?: News
  /** Opens the command bar, where there is a button for it. */
  onCommands?: () => void
}) {
  const { session } = useLive()
  const { directory } = useDirectory(place)
  const { pathname } = useLocation()
  const groups = entriesOf(directory ?? emptyDirectory, null).filter(entry => entry.kind === 'page')
  const inConsole = isConsole(place)
  const list = listHref(place)
  // One first heading on every screen size: the narrow one has it in its bar.
  const Name = id === 'desktop-nav' ? 'h1' : 'p'
  return (
    <>
      <div className="flex items-center gap-2.5 px-4 pt-4 pb-3">
        <Mark />
        <div className="min-w-0 flex-1">
          <Name className="truncate leading-tight font-semibold">{organization.name}</Name>
          <PlaceBadge place={place} organization={organization} />
        </div>
        {news && !inConsole && <Bell organization={place.organization} news={news} />}
      </div>
      {onCommands && (
        <button
          type="button"
          data-pw-command-bar-toggle=""
          aria-haspopup="dialog"
          aria-keyshortcuts="Control+K Meta+K /"
          className="mx-2 mb-1 flex items-center gap-2.5 rounded-control border border-line px-2.5 py-1.5 text-muted hover:bg-sunken"
          onClick={onCommands}
        >
          <Icon name="search" className="size-4" />
          <Words className="flex-1 text-left">Commands</Words>
          <kbd className="text-xs">
            <Words isHint>{isApple ? '⌘K' : 'Ctrl K'}</Words>
          </kbd>
        </button>
      )}
      <nav aria-label="Main" className="flex min-h-0 flex-1 flex-col gap-6 overflow-y-auto px-2 py-2">
        <div className="grid gap-0.5">
          <NavLink href={list} icon="bolt" isCurrent={pathname.replace(/\/$/, '') === list}>
            Actions
          </NavLink>
          <ul id={id} className="grid gap-0.5">
            {groups.map(group => {
              const href = actionHref(place, group.slug)
              return (
                <li key={group.slug}>
                  <NavLink
                    href={href}
                    icon="folder"
                    isCurrent={pathname === href || pathname.startsWith(`${href}/`)}
                  >
                    {group.name}
                  </NavLink>
                </li>
              )
            })}
          </ul>
        </div>
        <div className="mt-auto grid gap-0.5">
          {inConsole ? (
            <NavLink href={placeHref({ ...place, environment: 'production' })} icon="play" isCurrent={false}>
              Live
            </NavLink>
          ) : (
            <NavLink
              href={listHref({ ...place, environment: 'development' })}
              icon="terminal"
              isCurrent={false}
            >
              Console
            </NavLink>
          )}
          <NavLink
            href={historyHref(place)}
            icon="history"
            isCurrent={pathname.startsWith(historyHref(place))}
          >
            History
          </NavLink>
          <NavLink href={keysHref(place)} icon="key" isCurrent={pathname === keysHref(place)}>
            Keys
          </NavLink>
          {sectionsFor(organization).length > 0 && (
            <NavLink
              href={organizationHref(place)}
              icon="building"
              isCurrent={pathname.startsWith(organizationHref(place))}
            >
              Organization
            </NavLink>
          )}
          {session.isOperator && (
            <NavLink href={clusterHref(place)} icon="nodes" isCurrent={pathname === clusterHref(place)}>
              Cluster
            </NavLink>
          )}
        </div>
      </nav>
      <AccountMenu place={place} />
    </>
  )
}

function NavLink({
  href,
  icon,
  isCurrent,
  children,
}: {
  href: string
  icon: IconName
  isCurrent: boolean
  children: string
}) {
  return (
    <AppLink
      href={href}
      aria-current={isCurrent ? 'page' : undefined}
      className={`flex items-center gap-2.5 rounded-control px-2.5 py-1.5 ${
        isCurrent ? 'bg-accent-soft font-medium text-accent' : 'text-ink hover:bg-sunken'
      }`}
    >
      <Icon name={icon} className="size-4.5 opacity-80" />
      <Words className="truncate">{children}</Words>
    </AppLink>
  )
}

function PlaceBadge({ place, organization }: { place: Place; organization: Organization }) {
  const known = organization.environments.find(environment => environment.slug === place.environment)
  const words = isConsole(place)
    ? 'Console'
    : place.environment === 'production'
      ? 'Live'
      : (known?.name ?? place.environment)
  return <span className="text-xs text-muted">{words}</span>
}

/** Marks the one of several that one is in. */
function Here() {
  return (
    <>
      <Icon name="check" className="size-4 text-accent" />
      <span className="sr-only">(here)</span>
    </>
  )
}

/** Rendered only while open: closed menus must leave no words in the document. */
function AccountMenu({ place }: { place: Place }) {
  const { session, signOut } = useLive()
  const { user, organizations } = session
  const initials = (
    (user.firstName?.[0] ?? '') + (user.lastName?.[0] ?? '') ||
    (user.email[0] ?? '?')
  ).toUpperCase()
  const item =
    'flex items-center gap-2.5 rounded-control px-2.5 py-1.5 text-left data-[active-item]:bg-sunken'
  const environments = organizations
    .find(organization => organization.slug === place.organization)
    ?.environments.filter(environment => environment.slug !== 'development')
  return (
    <MenuProvider placement="top-start">
      <MenuButton
        data-pw-nav-control-panel-toggle=""
        className="m-2 flex items-center gap-2.5 rounded-control px-2.5 py-2 text-left hover:bg-sunken"
      >
        <span
          aria-hidden="true"
          className="grid size-8 place-items-center rounded-full bg-accent-soft text-sm font-semibold text-accent"
        >
          {initials}
        </span>
        <Words className="flex-1 text-sm text-muted">Account</Words>
        <Icon name="chevronUp" className="size-4 text-muted" />
      </MenuButton>
      <Menu className="w-64" data-pw-nav-control-panel="">
        <p className="px-2.5 pt-1.5 pb-2 text-sm text-muted">
          Signed in as
          <span className="block truncate font-medium text-ink">{user.email}</span>
        </p>
        {!user.emailConfirmed && (
          <MenuItem
            className={`${item} bg-warning-soft text-sm text-warning`}
            render={<AppLink href="/confirm-email" />}
          >
            Confirm your email to create and deploy live actions
          </MenuItem>
        )}
        {(environments?.length ?? 0) > 1 &&
          environments?.map(environment => (
            <MenuItem
              key={environment.slug}
              className={item}
              render={<AppLink href={placeHref({ ...place, environment: environment.slug })} />}
            >
              <Icon name="play" className="size-4 text-muted" />
              <span className="min-w-0 flex-1 truncate">{environment.name}</span>
              {environment.slug === place.environment && <Here />}
            </MenuItem>
          ))}
        {organizations.length > 1 &&
          organizations.map(organization => (
            <MenuItem
              key={organization.id}
              className={item}
              render={
                <AppLink href={placeHref({ organization: organization.slug, environment: 'production' })} />
              }
            >
              <Icon name="building" className="size-4 text-muted" />
              <span className="min-w-0 flex-1 truncate">{organization.name}</span>
              {organization.slug === place.organization && <Here />}
            </MenuItem>
          ))}
        <MenuItem className={item} render={<AppLink href={accountHref()} />}>
          <Icon name="person" className="size-4 text-muted" />
          Your account
        </MenuItem>
        <MenuItem
          className={`${item} w-full`}
          onClick={() => void signOut()}
          render={<button type="button" />}
        >
          <Icon name="leave" className="size-4 text-muted" />
          Sign out
        </MenuItem>
      </Menu>
    </MenuProvider>
  )
}
