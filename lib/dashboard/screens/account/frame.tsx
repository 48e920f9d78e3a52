/** The frame around a person's own account: sections beside, above them on narrow screens. It needs no organization. */
import {
  type ComponentType,
  type LazyExoticComponent,
  lazy,
  Suspense,
  useCallback,
  useEffect,
  useState,
} from 'react'
import { accountApi, type OwnAccount } from '../../api-account.js'
import { AppLink } from '../../components/app-link.js'
import { Mark } from '../../components/entrance.js'
import { Icon } from '../../components/icon.js'
import { Loading, Notice } from '../../components/notice.js'
import { accountHref, placeHref } from '../../links.js'
import { useLive } from '../../services.js'

/** What each section is given. */
export interface SectionProps {
  account: OwnAccount
  /** Reads the account again, after a change of it. */
  reload: () => Promise<void>
}

const sections: { slug: string; label: string; Screen: LazyExoticComponent<ComponentType<SectionProps>> }[] =
  [
    { slug: '', label: 'Profile', Screen: lazy(() => import('./profile.js')) },
    { slug: 'security', label: 'Security', Screen: lazy(() => import('./security.js')) },
    { slug: 'sessions', label: 'Sessions', Screen: lazy(() => import('./sessions.js')) },
    { slug: 'tokens', label: 'Access tokens', Screen: lazy(() => import('./tokens.js')) },
    { slug: 'organizations', label: 'Organizations', Screen: lazy(() => import('./organizations.js')) },
  ]

/** On a phone the sections are one line, and the present one may be beyond its end. */
function intoView(link: HTMLAnchorElement | null): void {
  link?.scrollIntoView({ block: 'nearest', inline: 'center' })
}

export default function AccountFrame({ section }: { section: string }) {
  const { session } = useLive()
  const [account, setAccount] = useState<OwnAccount | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const current = sections.find(({ slug }) => slug === section)
  const [first] = session.organizations

  const reload = useCallback(async () => {
    try {
      setAccount(await accountApi.account())
      setProblem(null)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    }
  }, [])
  useEffect(() => {
    void reload()
  }, [reload])

  return (
    <div className="min-h-dvh">
      <header className="border-b border-line bg-surface">
        <div className="mx-auto flex w-full max-w-5xl items-center gap-3 px-4 py-3 sm:px-8">
          <Mark />
          <h1 className="min-w-0 flex-1 truncate font-semibold">Your account</h1>
          {first && (
            <AppLink
              href={placeHref({ organization: first.slug, environment: 'production' })}
              className="button plain small min-w-0"
            >
              <Icon name="chevronLeft" className="size-4" />
              <span className="truncate">Back to {first.name}</span>
            </AppLink>
          )}
        </div>
      </header>
      <div className="mx-auto grid w-full max-w-5xl gap-6 px-4 py-6 sm:px-8 md:grid-cols-[12rem_minmax(0,1fr)] md:gap-10 md:py-8">
        <nav aria-label="Account" className="-mx-4 overflow-x-auto px-4 md:mx-0 md:px-0">
          <ul className="flex gap-1 md:grid">
            {sections.map(({ label, slug }) => (
              <li key={slug}>
                <AppLink
                  href={accountHref(slug)}
                  aria-current={slug === section ? 'page' : undefined}
                  ref={slug === section ? intoView : undefined}
                  className={`block rounded-control px-2.5 py-1.5 whitespace-nowrap ${
                    slug === section ? 'bg-accent-soft font-medium text-accent' : 'hover:bg-sunken'
                  }`}
                >
                  {label}
                </AppLink>
              </li>
            ))}
          </ul>
        </nav>
        {problem !== null && (
          <Notice title="Your account cannot be read" text={problem}>
            <button type="button" className="button primary" onClick={() => void reload()}>
              Try again
            </button>
          </Notice>
        )}
        {problem === null && current === undefined && (
          <Notice title="Not found" text="There is nothing at this address.">
            <AppLink href={accountHref()} className="link">
              Go to your profile
            </AppLink>
          </Notice>
        )}
        {problem === null && current !== undefined && (
          <main className="min-w-0">
            {account === null ? (
              <Loading />
            ) : (
              <Suspense fallback={<Loading />}>
                <current.Screen account={account} reload={reload} />
              </Suspense>
            )}
          </main>
        )}
      </div>
    </div>
  )
}
