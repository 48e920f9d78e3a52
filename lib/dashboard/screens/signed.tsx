/** The screens behind the sign-in: which organization, which frame around it, which screen in it. */
import { lazy, type ReactNode, Suspense, useEffect } from 'react'
import { Navigate } from 'react-router'
import type { Organization, Session } from '../api.js'
import { accountApi } from '../api-account.js'
import { AppLink } from '../components/app-link.js'
import { ConnectionNotice } from '../components/connection-notice.js'
import { Entrance } from '../components/entrance.js'
import { Loading, Notice } from '../components/notice.js'
import { SectionMain } from '../components/section.js'
import { Shell } from '../components/shell.js'
import { accountHref, placeHref, type Route } from '../links.js'
import { useLive } from '../services.js'
import { ListScreen } from './list.js'

const ActionScreen = lazy(() => import('./action.js'))
const TransactionScreen = lazy(() => import('./transaction.js'))
const KeysScreen = lazy(() => import('./organization/keys.js'))
const OrganizationFrame = lazy(() => import('./organization/frame.js'))
const HistoryScreen = lazy(() => import('./history.js'))
const AccountFrame = lazy(() => import('./account/frame.js'))
const ConfirmEmailScreen = lazy(() => import('./confirm-email.js'))
const SecondFactorNeeded = lazy(() => import('./second-factor-needed.js'))
const ClusterScreen = lazy(() => import('./cluster.js'))

export function Signed({ route }: { route: Route }) {
  const { session } = useLive()
  useTimeZone(session)
  const first = session.organizations[0]
  const home = first && placeHref({ organization: first.slug, environment: 'production' })

  if ('place' in route && route.place !== null) {
    const { place } = route
    const organization = session.organizations.find(known => known.slug === place.organization)
    const exists =
      organization &&
      (place.environment === 'development' ||
        place.environment === 'production' ||
        organization.environments.some(environment => environment.slug === place.environment))
    if (!organization || !exists) return <Framed>{<NothingHere home={home} />}</Framed>
    if (organization.lacksSecondFactor) return <Gate organization={organization} />
    return (
      <Framed>
        <Shell place={place} organization={organization}>
          <Suspense fallback={<Loading />}>
            {(route.screen === 'live' || route.screen === 'console') && (
              <ListScreen key={`${place.organization}+${place.environment}`} place={place} />
            )}
            {route.screen === 'action' && (
              <ActionScreen
                key={`${place.organization}+${place.environment}`}
                place={place}
                slug={route.slug}
              />
            )}
            {route.screen === 'transaction' && (
              <TransactionScreen
                key={route.transactionId}
                place={place}
                transactionId={route.transactionId}
              />
            )}
            {route.screen === 'history' && (
              <HistoryScreen key={`${place.organization}+${place.environment}`} place={place} />
            )}
            {route.screen === 'cluster' &&
              (session.isOperator ? <ClusterScreen /> : <NotFound home={home} />)}
            {route.screen === 'keys' && (
              <SectionMain>
                <KeysScreen key={place.organization} organization={organization} />
              </SectionMain>
            )}
            {route.screen === 'organization' && (
              <OrganizationFrame
                key={place.organization}
                organization={organization}
                section={route.section}
                rest={route.rest}
              />
            )}
          </Suspense>
        </Shell>
      </Framed>
    )
  }
  if (route.screen === 'account') {
    return (
      <Framed>
        <Suspense fallback={<Loading />}>
          <AccountFrame section={route.section} />
        </Suspense>
      </Framed>
    )
  }
  if (route.screen === 'confirm-email') {
    return (
      <Suspense fallback={<Loading />}>
        <ConfirmEmailScreen session={session} />
      </Suspense>
    )
  }
  if (route.screen === 'transaction' && first) {
    if (first.lacksSecondFactor) return <Gate organization={first} />
    const place = { organization: first.slug, environment: 'production' }
    return (
      <Framed>
        <Shell place={place} organization={first}>
          <Suspense fallback={<Loading />}>
            <TransactionScreen key={route.transactionId} place={place} transactionId={route.transactionId} />
          </Suspense>
        </Shell>
      </Framed>
    )
  }
  if (route.screen === 'not-found') return <Framed>{<NothingHere home={home} />}</Framed>
  if (home === undefined) return <Navigate to={accountHref('organizations')} replace />
  return <Navigate to={home} replace />
}

/** The organization asks for a second factor first. */
function Gate({ organization }: { organization: Organization }) {
  return (
    <Suspense fallback={<Loading />}>
      <SecondFactorNeeded organization={organization} />
    </Suspense>
  )
}

/** The first window of a person tells where they are; they may change it in their account. */
function useTimeZone({ user }: Session): void {
  const isUnknown = user.timeZone === null
  useEffect(() => {
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
    if (isUnknown && timeZone) accountApi.changeProfile({ timeZone }).catch(() => undefined)
  }, [isUnknown])
}

function Framed({ children }: { children: ReactNode }) {
  return (
    <>
      {children}
      <ConnectionNotice />
    </>
  )
}

export function NotFound({ home }: { home?: string | undefined }) {
  return (
    <Notice title="Not found" text="There is nothing at this address, or it is not open to you.">
      {home !== undefined && (
        <AppLink className="link" href={home}>
          Go to the dashboard
        </AppLink>
      )}
    </Notice>
  )
}

/** The same where no organization's frame is around it. */
function NothingHere({ home }: { home: string | undefined }) {
  return (
    <Entrance title="Not found" text="There is nothing at this address, or it is not open to you.">
      <span className="btn primary justify-self-start">
        <AppLink href={home ?? accountHref('organizations')}>
          {home === undefined ? 'Go to your organizations' : 'Go to the dashboard'}
        </AppLink>
      </span>
    </Entrance>
  )
}
