/**
 * A running or finished transaction on screen: title, steps, what it waits for, result, panel. On this screen the
 * first field of the document is the form's own, and the current question is written nowhere else.
 */
import { useEffect, useRef, useSyncExternalStore } from 'react'
import { useLocation } from 'react-router'
import type { DirectoryPage, Place, Redirect } from '../../clients/wire.js'
import { actionHref, isConsole, listHref, parentSlug, pastRunHref, safeUrl } from '../links.js'
import { isAnswered, type TransactionView, visibleSteps } from '../transaction.js'
import type { TransactionRunner } from '../transaction-runner.js'
import { useTitle } from '../use-title.js'
import { AppLink, cameFrom, useGo } from './app-link.js'
import { ControlPanel } from './control-panel.js'
import { Icon } from './icon.js'
import { LoadingView } from './loading-view.js'
import { Banner } from './notice.js'
import { ResultView } from './result-view.js'
import { StepForm } from './step-form.js'
import { useReveal } from './use-reveal.js'

/** Where others see the run, in the history; a console is its developer's alone. */
export function sharedAt(place: Place, transactionId: string): { address?: string } {
  return isConsole(place) ? {} : { address: window.location.origin + pastRunHref(place, transactionId) }
}

interface TransactionPageProps {
  runner: TransactionRunner
  place: Place
  slug: string
  title: string
  description: string | null
  ancestors: readonly DirectoryPage[]
  onRestart: () => void
}

export function TransactionPage({
  runner,
  place,
  slug,
  title,
  description,
  ancestors,
  onRestart,
}: TransactionPageProps) {
  const state = useSyncExternalStore(runner.subscribe, runner.getState)
  const { view, failure } = state
  useRedirect(runner, place, view?.redirect ?? null)
  useWarnOnClose(view, place)
  const steps = view ? visibleSteps(view) : []
  const hasEnded = view?.result !== null && view !== null
  const hasQuestion = view !== null && steps.some(step => !isAnswered(view, step))
  const question = steps.findLast(step => view !== null && !isAnswered(view, step))
  const newest = hasEnded ? 'result' : question ? question.call.inputGroupKey : null
  const reveal = useReveal(view === null ? undefined : newest)
  const isWaiting = !hasEnded && !hasQuestion && view?.loading === null
  return (
    <>
      <main className="mx-auto grid w-full max-w-4xl flex-1 content-start gap-6 px-4 py-6 sm:px-8 sm:py-8">
        <Header
          place={place}
          slug={slug}
          title={view?.name || title}
          description={description}
          ancestors={ancestors}
          hasEnded={hasEnded || failure !== null}
          onRestart={onRestart}
        />
        {failure !== null && (
          <Banner tone="danger" role="alert">
            <p className="font-medium">This could not be started.</p>
            <p>{failure.message}</p>
          </Banner>
        )}
        {view?.isUsurped === true && (
          <Banner tone="warning" role="status">
            <div className="flex flex-wrap items-center gap-3">
              <p className="flex-1">This was opened in another window and goes on there.</p>
              <button type="button" className="button small" onClick={() => runner.takeOver()}>
                Go on here
              </button>
            </div>
          </Banner>
        )}
        {view?.redirect && 'url' in view.redirect && safeUrl(view.redirect.url) === null && (
          <Banner tone="warning" role="status">
            The action asked to go to an address that is not safe to open. Nothing was opened.
          </Banner>
        )}
        {view !== null && !view.hostConnected && !hasEnded && (
          <Banner tone="warning" role="status">
            The host that runs this is away. It goes on where it stopped as soon as the host is back.
          </Banner>
        )}
        {view !== null && steps.length > 0 && (
          <div className="grid min-w-0 gap-8">
            {steps.map(step => {
              const key = step.call.inputGroupKey
              return (
                <div key={key} ref={key === newest ? reveal : undefined} className="min-w-0">
                  <StepForm
                    call={step.call}
                    place={place}
                    draftKey={runner.draftKey(key)}
                    isClosed={isAnswered(view, step) || hasEnded || view.isUsurped}
                    isSending={state.sending.has(key)}
                    displaysWait={!view.appends}
                    refused={state.errors[key]}
                    onAnswer={answer => runner.answer(key, step.call.id, answer)}
                    onState={values => runner.setState(key, step.call.id, values)}
                    filesOf={component => runner.files(key, component)}
                  />
                </div>
              )
            })}
          </div>
        )}
        {view?.loading && !hasEnded && <LoadingView loading={view.loading} />}
        {isWaiting && failure === null && (
          <p role="status" className="flex items-center gap-3 text-muted">
            <span className="spinner" />
            Waiting to hear from action...
          </p>
        )}
        {view?.result && (
          <div ref={newest === 'result' ? reveal : undefined} className="min-w-0">
            <ResultView result={view.result} {...sharedAt(place, runner.transactionId)} />
          </div>
        )}
      </main>
      <ControlPanel view={view} place={place} slug={slug} />
    </>
  )
}

/** Where one is, what runs, and the ways on: again, or back. */
export function Header({
  place,
  slug,
  title,
  description,
  ancestors,
  hasEnded,
  onRestart,
}: {
  place: Place
  slug: string
  title: string
  description: string | null
  ancestors: readonly DirectoryPage[]
  hasEnded: boolean
  onRestart: () => void
}) {
  const { state } = useLocation()
  useTitle(title)
  const parent = parentSlug(slug)
  const group = parent !== null && ancestors.some(page => page.slug === parent) ? parent : null
  const back = cameFrom(state) ?? (group === null ? listHref(place) : actionHref(place, group))
  return (
    <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 border-b border-line pb-5">
      <div className="grid min-w-0 flex-1 basis-64 gap-1">
        <nav aria-label="Breadcrumb" className="flex flex-wrap items-center gap-1 text-sm text-muted">
          <AppLink href={listHref(place)} className="hover:text-ink">
            Actions
          </AppLink>
          {ancestors.map(page => (
            <span key={page.slug} className="flex items-center gap-1">
              <Icon name="chevronRight" className="size-3.5" />
              <AppLink href={actionHref(place, page.slug)} className="hover:text-ink">
                {page.name}
              </AppLink>
            </span>
          ))}
        </nav>
        <h2 className="text-2xl font-semibold tracking-tight break-words">{title}</h2>
        {description !== null && description !== '' && <p className="text-muted">{description}</p>}
      </div>
      <div className="flex gap-2">
        <button type="button" className="button small" onClick={onRestart}>
          <Icon name="restart" className="size-4" />
          New transaction
        </button>
        {/* Without a fade: halfway from plain to primary its words would be grey on grey. */}
        <span
          className={`btn [&>a]:min-h-8 [&>a]:px-2.5 [&>a]:py-1 [&>a]:text-sm [&>a]:transition-none ${hasEnded ? 'primary' : ''}`}
        >
          <AppLink href={back}>{hasEnded ? 'Go back' : 'Cancel'}</AppLink>
        </span>
      </div>
    </header>
  )
}

/** Follows a redirect once, after the node was told; addresses that could run script are not followed. */
export function useRedirect(
  runner: { redirected: () => Promise<void> } | null,
  place: Place,
  redirect: Redirect | null,
): void {
  const go = useGo()
  const latest = useRef(go)
  latest.current = go
  const followed = useRef<Redirect | null>(null)
  useEffect(() => {
    if (redirect === null || followed.current !== null) return
    followed.current = redirect
    const follow = async () => {
      await runner?.redirected()
      if ('route' in redirect) {
        latest.current(actionHref(place, redirect.route, redirect.params), {
          replace: redirect.replace === true,
        })
        return
      }
      const url = safeUrl(redirect.url)
      if (url === null) return
      if (redirect.download !== undefined) {
        const link = document.createElement('a')
        link.href = url
        link.download = redirect.download
        link.click()
      } else if (redirect.replace === true) window.location.replace(url)
      else window.location.assign(url)
    }
    void follow()
  }, [runner, place, redirect])
}

/** Asks before a live action that wants it is left by closing the window it runs in. The console never asks. */
function useWarnOnClose(view: TransactionView | null, place: Place): void {
  const isAsking =
    view?.warnOnClose === true &&
    !view.backgroundable &&
    !view.isUsurped &&
    view.result === null &&
    !isConsole(place) &&
    !view.redirect
  useEffect(() => {
    if (!isAsking) return
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', ask)
    return () => window.removeEventListener('beforeunload', ask)
  }, [isAsking])
}
