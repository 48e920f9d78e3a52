/**
 * From an address to a screen. Who is not signed in gets the sign-in (or, on a fresh server, the set-up) screen and
 * comes back to the address afterwards; everybody else gets one connection for as long as the window is open.
 */
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from 'react'
import { type Location, Navigate, useLocation } from 'react-router'
import type { Session, SignedOut } from './api.js'
import { cameFrom } from './components/app-link.js'
import { Entrance } from './components/entrance.js'
import { Loading } from './components/notice.js'
import { Connection } from './connection.js'
import { Directories } from './directories.js'
import { consoleEnvironment, listHref, parseRoute, placeHref, type Route } from './links.js'
import { SecondFactorScreen } from './screens/second-factor.js'
import { SignInScreen } from './screens/sign-in.js'
import { Signed } from './screens/signed.js'
import { LiveProvider, useServices } from './services.js'

const SignUpScreen = lazy(() => import('./screens/sign-up.js'))
const InvitationScreen = lazy(() => import('./screens/invitation.js'))
const ForgotPasswordScreen = lazy(() => import('./screens/forgot-password.js'))
const IdentityProvenScreen = lazy(() => import('./screens/identity-proven.js'))
const ResetPasswordScreen = lazy(() => import('./screens/reset-password.js'))

type Who =
  | { kind: 'unknown' }
  | { kind: 'failed'; message: string }
  | { kind: 'out'; out: SignedOut }
  /** `goTo`: where whoever has just come in goes, if that is known. */
  | { kind: 'in'; session: Session; goTo: string | null }

export function App() {
  const { api } = useServices()
  const [who, setWho] = useState<Who>({ kind: 'unknown' })
  const [generation, setGeneration] = useState(0)
  const location = useLocation()
  const route = parseRoute(location.pathname)

  const come = useCallback(
    async (goTo: string | null) => {
      try {
        const answer = await api.session()
        const next: Who =
          'session' in answer
            ? { kind: 'in', session: answer.session, goTo }
            : { kind: 'out', out: answer.signedOut }
        setWho(next)
      } catch (error) {
        setWho({ kind: 'failed', message: error instanceof Error ? error.message : 'Something went wrong.' })
      }
    },
    [api],
  )
  const ask = useCallback(() => come(null), [come])

  useEffect(() => {
    void ask()
  }, [ask])

  const signedOut = useCallback(() => {
    // Should the session hold after all, a new connection is made for it.
    setGeneration(known => known + 1)
    void ask()
  }, [ask])

  if (who.kind === 'unknown') return <Loading />
  if (who.kind === 'failed') {
    return (
      <Entrance title="The server cannot be reached" text={who.message}>
        <button
          type="button"
          className="button primary"
          onClick={() => {
            setWho({ kind: 'unknown' })
            void ask()
          }}
        >
          Try again
        </button>
      </Entrance>
    )
  }
  if (route.screen === 'identity-proven') {
    return (
      <Suspense fallback={<Loading />}>
        <IdentityProvenScreen isProven={route.isProven} />
      </Suspense>
    )
  }
  // Followed from mails, whoever is signed in here.
  if (route.screen === 'reset-password') {
    return (
      <Suspense fallback={<Loading />}>
        <ResetPasswordScreen onDone={ask} />
      </Suspense>
    )
  }
  const token = route.screen === 'sign-up' ? new URLSearchParams(location.search).get('token') : null
  const isComing = who.kind === 'in' && who.goTo !== null
  if (token !== null && !isComing && !(who.kind === 'out' && who.out.secondFactorNeeded)) {
    return (
      <Suspense fallback={<Loading />}>
        <InvitationScreen token={token} session={who.kind === 'in' ? who.session : null} onDone={come} />
      </Suspense>
    )
  }
  if (who.kind === 'out') {
    if (route.screen === 'forgot-password') {
      return (
        <Suspense fallback={<Loading />}>
          <ForgotPasswordScreen />
        </Suspense>
      )
    }
    if (route.screen === 'set-up' || route.screen === 'sign-up') {
      if (route.screen === 'set-up' && !who.out.setupNeeded) return <Navigate to="/login" replace />
      return (
        <Suspense fallback={<Loading />}>
          <SignUpScreen kind={route.screen} known={who.out} onDone={ask} />
        </Suspense>
      )
    }
    if (who.out.setupNeeded) return <Navigate to="/setup" replace />
    if (who.out.secondFactorNeeded) {
      if (route.screen === 'verify-mfa') return <SecondFactorScreen onDone={ask} />
      return <Navigate to="/verify-mfa" replace state={{ from: destination(location) }} />
    }
    if (route.screen !== 'sign-in') {
      const from = destination(location)
      return <Navigate to={from === null ? '/login' : `/login?from=${encodeURIComponent(from)}`} replace />
    }
    return <SignInScreen known={who.out} from={destination(location)} onDone={ask} />
  }
  if (entrances.has(route.screen)) {
    return <Navigate to={who.goTo ?? landing(route.screen, who.session, destination(location))} replace />
  }
  return <SignedIn key={generation} session={who.session} onSignedOut={signedOut} refresh={ask} />
}

/** The screens in front of the sign-in: somebody who is in is sent on. */
const entrances = new Set<Route['screen']>(['sign-in', 'sign-up', 'set-up', 'verify-mfa', 'forgot-password'])

/** Where somebody wanted to go who was stopped: the address itself, or what an entrance was told of it. */
function destination({ pathname, search, state }: Location): string | null {
  const here = pathname === '/' ? null : pathname + search
  const { screen } = parseRoute(pathname)
  const told = new URLSearchParams(search).get('from') ?? (screen === 'verify-mfa' ? cameFrom(state) : null)
  const from = entrances.has(screen) ? told : here
  // Only addresses of this origin: `//host` and `/\\host` are others.
  return from !== null && /^\/(?![/\\])/.test(from) ? from : null
}

/** Where somebody goes who has come in: a new account to the console, anybody else to where they were going. */
function landing(screen: Route['screen'], session: Session, from: string | null): string {
  const organization = session.organizations[0]?.slug
  if (from !== null) return from
  if (organization === undefined) return '/'
  return screen === 'sign-in' || screen === 'verify-mfa'
    ? placeHref({ organization, environment: 'production' })
    : listHref({ organization, environment: consoleEnvironment })
}

function SignedIn({
  session,
  onSignedOut,
  refresh,
}: {
  session: Session
  onSignedOut: () => void
  refresh: () => Promise<void>
}) {
  const { api, memory } = useServices()
  const { pathname } = useLocation()
  const [connection] = useState(
    () =>
      new Connection({
        url: `${window.location.protocol === 'https:' ? 'wss' : 'ws'}://${window.location.host}/websocket`,
        clientId: memory.clientId(),
        random: Math.random,
        onSignedOut,
        isSignedIn: async () => 'session' in (await api.session()),
      }),
  )
  const [directories] = useState(() => new Directories(connection))
  useEffect(() => {
    connection.open()
    const wake = () => connection.wake()
    window.addEventListener('online', wake)
    document.addEventListener('visibilitychange', wake)
    return () => {
      window.removeEventListener('online', wake)
      document.removeEventListener('visibilitychange', wake)
      connection.close()
    }
  }, [connection])

  const live = useMemo(
    () => ({
      session,
      connection,
      directories,
      refresh,
      signOut: async () => {
        await api.signOut()
        onSignedOut()
      },
    }),
    [session, connection, directories, api, onSignedOut, refresh],
  )
  return (
    <LiveProvider value={live}>
      <Signed route={parseRoute(pathname)} />
    </LiveProvider>
  )
}
