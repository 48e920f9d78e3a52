/**
 * What was sent to the person, behind a bell that says whether there is news. It asks now and then, and not on the screen
 * of a run; closed, it leaves no words in the document.
 */
import { Popover, PopoverDisclosure, PopoverHeading, PopoverProvider } from '@ariakit/react'
import { useCallback, useEffect, useState } from 'react'
import { type OwnNotification, ownNotifications, seenNotifications } from '../api-channels.js'
import { formatDateTime } from '../format.js'
import { pastRunHref } from '../links.js'
import { AppLink } from './app-link.js'
import { Icon } from './icon.js'

const askEveryMs = 60_000

export function Bell({ organization }: { organization: string }) {
  const [list, setList] = useState<readonly OwnNotification[]>([])
  const [isOpen, setOpen] = useState(false)
  const load = useCallback(async () => {
    try {
      setList(await ownNotifications(organization))
    } catch {
      // The rest of the screen is worth showing without them.
    }
  }, [organization])
  useEffect(() => {
    void load()
    const timer = setInterval(load, askEveryMs)
    return () => clearInterval(timer)
  }, [load])
  const news = list.filter(({ isNew }) => isNew).length
  const open = async (shown: boolean) => {
    setOpen(shown)
    if (!shown) {
      // What was looked at is news no more.
      if (news > 0) setList(list.map(one => ({ ...one, isNew: false })))
      return
    }
    await load()
    await seenNotifications().catch(() => undefined)
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
