/**
 * What waits for this person, or for anybody, to be started. Who decides about the work of others sees theirs too, gives
 * it to somebody else, or throws it away.
 */
import { DialogDismiss, MenuButton, MenuItem, MenuProvider } from '@ariakit/react'
import { type FormEvent, useCallback, useEffect, useState } from 'react'
import type { Place, QueueItem } from '../../../clients/wire.js'
import { assignQueueItem, dismissQueueItem } from '../../api-queue.js'
import { AppLink } from '../../components/app-link.js'
import { Ask } from '../../components/ask.js'
import { DialogFrame } from '../../components/dialog-frame.js'
import { Icon, type IconName } from '../../components/icon.js'
import { Input } from '../../components/input.js'
import { Menu } from '../../components/menu.js'
import { useSubmission } from '../../components/submission.js'
import { SubmitButton } from '../../components/submit-button.js'
import { formatDateTime } from '../../format.js'
import { actionHref, isConsole } from '../../links.js'
import { useLive } from '../../services.js'

const refreshMs = 5_000

export function Queue({ place }: { place: Place }) {
  const { connection, session } = useLive()
  const [items, setItems] = useState<readonly QueueItem[]>([])
  const [assigning, setAssigning] = useState<QueueItem | null>(null)
  const [dismissing, setDismissing] = useState<QueueItem | null>(null)
  const { organization, environment } = place
  const permissions = session.organizations.find(({ slug }) => slug === organization)?.permissions ?? []
  const mayManage = permissions.includes(isConsole(place) ? 'WRITE_DEV_ACTIONS' : 'WRITE_PROD_ACTIONS')

  const load = useCallback(async () => {
    const { items: found } = await connection.request('queue.list', { organization, environment })
    setItems(found)
  }, [connection, organization, environment])

  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const again = async () => {
      await load().catch(() => undefined)
      if (!isOver) timer = setTimeout(again, refreshMs)
    }
    void again()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [load])

  if (items.length === 0) return null
  const own = items.filter(({ others }) => others === null)
  const ofOthers = items.filter(({ others }) => others !== null)
  const options = (item: QueueItem) =>
    mayManage && (
      <Options
        name={item.name}
        onAssign={isConsole(place) ? null : () => setAssigning(item)}
        onDismiss={() => setDismissing(item)}
      />
    )
  return (
    <>
      {own.length > 0 && (
        <section className="grid gap-3" aria-labelledby="queue">
          <h3 id="queue" className="font-semibold">
            Queue
          </h3>
          <ul className="card divide-y divide-line">
            {own.map(item => (
              <li
                key={item.id}
                data-pw-queued-action-slug={item.slug}
                className="flex items-center gap-1 pr-2"
              >
                <AppLink
                  href={actionHref(place, item.slug)}
                  queueItemId={item.id}
                  className="flex min-w-0 flex-1 items-center gap-4 rounded-card px-4 py-3 outline-offset-[-2px] hover:bg-sunken"
                >
                  <Waiting item={item} icon="play" whose={item.mine ? 'For you' : 'For anybody'} />
                </AppLink>
                {options(item)}
              </li>
            ))}
          </ul>
        </section>
      )}
      {ofOthers.length > 0 && (
        <section className="grid gap-3" aria-labelledby="queue-of-others">
          <h3 id="queue-of-others" className="font-semibold">
            Queue of others
          </h3>
          <ul className="card divide-y divide-line">
            {ofOthers.map(item => (
              <li key={item.id} className="flex items-center gap-1 pr-2">
                <div className="flex min-w-0 flex-1 items-center gap-4 px-4 py-3">
                  <Waiting item={item} icon="person" whose={`For ${item.others}`} />
                </div>
                {options(item)}
              </li>
            ))}
          </ul>
        </section>
      )}
      {assigning !== null && (
        <Assign place={place} item={assigning} onDone={load} onClose={() => setAssigning(null)} />
      )}
      {dismissing !== null && (
        <Ask
          title={`Dismiss “${dismissing.name}”?`}
          action="Dismiss it"
          onConfirmed={async () => {
            await dismissQueueItem(place, dismissing.id)
            await load()
          }}
          onClose={() => setDismissing(null)}
        >
          It is taken out of the queue without having been run.
        </Ask>
      )}
    </>
  )
}

const menuItem = 'rounded-control px-2.5 py-1.5 text-left data-[active-item]:bg-sunken'

function Waiting({ item, icon, whose }: { item: QueueItem; icon: IconName; whose: string }) {
  return (
    <>
      <span className="grid size-9 flex-none place-items-center rounded-control bg-warning-soft text-warning">
        <Icon name={icon} className="size-4.5" />
      </span>
      <span className="min-w-0 flex-1">
        <span className="block truncate font-medium">{item.name}</span>
        <span className="block text-sm break-words text-muted">
          {whose}
          {` · since ${formatDateTime(new Date(item.createdAt))}`}
          {item.expiresAt !== null && ` · expires ${formatDateTime(new Date(item.expiresAt))}`}
        </span>
      </span>
    </>
  )
}

function Options({
  name,
  onAssign,
  onDismiss,
}: {
  name: string
  /** Null where there is nobody else to give it to. */
  onAssign: (() => void) | null
  onDismiss: () => void
}) {
  return (
    <MenuProvider placement="bottom-end">
      <MenuButton className="button plain small" aria-label={`Options for ${name}`}>
        <Icon name="more" className="size-4" />
      </MenuButton>
      <Menu className="w-52">
        {onAssign && (
          <MenuItem className={menuItem} onClick={onAssign}>
            Give to somebody…
          </MenuItem>
        )}
        <MenuItem className={menuItem} onClick={onDismiss}>
          Dismiss…
        </MenuItem>
      </Menu>
    </MenuProvider>
  )
}

function Assign({
  place,
  item,
  onDone,
  onClose,
}: {
  place: Place
  item: QueueItem
  onDone: () => Promise<void>
  onClose: () => void
}) {
  const [email, setEmail] = useState('')
  const [isMissing, setMissing] = useState(false)
  const submission = useSubmission({ assignee: 'assignee' })
  const assign = async (to: string | null): Promise<void> => {
    await assignQueueItem(place, item.id, to)
    await onDone()
    onClose()
  }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    setMissing(email.trim() === '')
    if (email.trim() !== '') void submission.run(() => assign(email.trim()))
  }
  return (
    <DialogFrame title={`Give “${item.name}” to somebody`} onClose={onClose}>
      <form className="grid gap-4" onSubmit={submit} noValidate>
        <Input
          name="assignee"
          type="email"
          label="Address of a member"
          autoFocus
          value={email}
          error={
            isMissing
              ? 'Enter the address of a member.'
              : (submission.errors.assignee ?? submission.problem ?? undefined)
          }
          onChange={event => setEmail(event.target.value)}
        />
        <div className="flex flex-wrap justify-end gap-3">
          <DialogDismiss className="button">Leave it</DialogDismiss>
          {(item.mine || item.others !== null) && (
            <button
              type="button"
              className="button"
              aria-disabled={submission.isBusy}
              onClick={() => {
                setMissing(false)
                void submission.run(() => assign(null))
              }}
            >
              For anybody
            </button>
          )}
          <SubmitButton isBusy={submission.isBusy}>Give it</SubmitButton>
        </div>
      </form>
    </DialogFrame>
  )
}
