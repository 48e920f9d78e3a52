/**
 * What was sent to the person, behind a bell that says whether there is news. The frame of all screens has it twice, for
 * wide and narrow windows, and what it shows once; closed, it leaves no words in the document.
 */
import { Popover, PopoverDisclosure, PopoverHeading, PopoverProvider } from '@ariakit/react'
import { useCallback, useEffect, useState } from 'react'
import { type OwnNotification, ownNotifications, seenNotifications } from '../api-channels.js'
import { formatDateTime } from '../format.js'
import { pastRunHref } from '../links.js'
import { AppLink } from './app-link.js'
import { Icon } from './icon.js'

const askEveryMs = 60_000

export interface News {
  readonly list: readonly OwnNotification[]
  /** Asks whether there is more. */
  readonly load: () => Promise<readonly OwnNotification[]>
  /** The person looks at these. */
  readonly see: (shown: readonly OwnNotification[]) => Promise<void>
  /** What was looked at is news no more. */
  readonly done: () => void
}

/** What was sent to the person in an organization, asked for now and then; null: nowhere that anything is sent. */
export function useNews(organization: string | null): News {
  const [list, setList] = useState<readonly OwnNotification[]>([])
  const load = useCallback(async () => {
    // The rest of the screen is worth showing without them.
    const found = organization === null ? null : await ownNotifications(organization).catch(() => null)
    if (found) setList(found)
    return found ?? []
  }, [organization])
  useEffect(() => {
    setList([])
    if (organization === null) return
    void load()
    const timer = setInterval(load, askEveryMs)
    return () => clearInterval(timer)
  }, [organization, load])
  const see = useCallback(
    async (shown: readonly OwnNotification[]) => {
      const [newest] = shown
      if (organization !== null && newest?.isNew)
        await seenNotifications(organization, newest.arrivedAt).catch(() => undefined)
    },
    [organization],
  )
  const done = useCallback(() => setList(known => known.map(one => ({ ...one, isNew: false }))), [])
  return { list, load, see, done }
}

export function Bell({
  organization,
  news: { done, list, load, see },
}: {
  organization: string
  news: News
}) {
  const [isOpen, setOpen] = useState(false)
  const news = list.filter(({ isNew }) => isNew).length
  const open = async (shown: boolean) => {
    setOpen(shown)
    if (shown) await see(await load())
    else done()
  }
  return (
    <PopoverProvider open={isOpen} setOpen={shown => void open(shown)} placement="bottom-end">
      <PopoverDisclosure
        className="button plain small relative"
        aria-label={news > 0 ? `Notifications, ${news} new` : 'Notifications'}
      >
        <Icon name="bell" />
        {news > 0 && (
          <span
            aria-hidden="true"
            className="absolute -top-1 -right-1 grid h-4.5 min-w-4.5 place-items-center rounded-full bg-accent px-1 text-xs font-semibold text-on-accent"
          >
            {news}
          </span>
        )}
      </PopoverDisclosure>
      <Popover
        unmountOnHide
        portal
        gutter={6}
        className="card z-40 grid max-h-[min(32rem,80dvh)] w-[min(24rem,calc(100vw-2rem))] content-start overflow-y-auto shadow-xl outline-none"
      >
        <PopoverHeading className="border-b border-line px-4 py-3 font-semibold">
          Notifications
        </PopoverHeading>
        {list.length === 0 ? (
          <p className="px-4 py-8 text-center text-muted">Nothing was sent to you yet.</p>
        ) : (
          <ul className="divide-y divide-line">
            {list.map(one => (
              <li key={one.id} className="grid gap-0.5 px-4 py-3">
                {one.title !== null && (
                  <p className="flex items-center gap-2 font-medium break-words">
                    {one.isNew && (
                      <span aria-hidden="true" className="size-2 flex-none rounded-full bg-accent" />
                    )}
                    {one.title}
                  </p>
                )}
                <p className="break-words whitespace-pre-wrap">{one.message}</p>
                <p className="text-sm text-muted">
                  {one.createdAtMs !== null && formatDateTime(new Date(one.createdAtMs))}
                  {one.transactionId !== null && (
                    <>
                      {' · '}
                      <AppLink
                        className="link"
                        href={pastRunHref({ organization, environment: one.environment }, one.transactionId)}
                        onClick={() => setOpen(false)}
                      >
                        Open the run
                      </AppLink>
                    </>
                  )}
                </p>
              </li>
            ))}
          </ul>
        )}
      </Popover>
    </PopoverProvider>
  )
}
