/**
 * The command bar: type a few letters, press Enter. It is in the document only while it is open, at its end, so that it
 * adds neither words nor fields to the screen below.
 */
import { Combobox, ComboboxItem, ComboboxList, ComboboxProvider, Dialog } from '@ariakit/react'
import { useEffect, useMemo, useState } from 'react'
import type { Place } from '../../clients/wire.js'
import { type Command, commandsOf, fittingCommands } from '../commands.js'
import { useDirectory, useLive, useServices } from '../services.js'
import { emptyDirectory } from '../tree.js'
import { useGo } from './app-link.js'
import { commandBarCard } from './command-bar-coming.js'
import { Icon, type IconName } from './icon.js'
import { areSingleKeysOn, switchSingleKeys } from './use-shortcuts.js'
import type { Typed } from './use-typed-ahead.js'

const icons: Record<Command['kind'], IconName> = {
  action: 'play',
  page: 'folder',
  place: 'chevronRight',
  'simulate-restart': 'restart',
  'single-keys': 'terminal',
  'sign-out': 'close',
}

export default function CommandBar({
  place,
  takeTyped,
  onClose,
}: {
  place: Place
  /** What was typed before keys could be taken here. */
  takeTyped: () => Typed
  onClose: () => void
}) {
  const { session, signOut } = useLive()
  const { directory } = useDirectory(place)
  const [query, setQuery] = useState('')
  const [isEntered, setEntered] = useState(false)
  const { api } = useServices()
  const go = useGo()
  const commands = useMemo(
    () => commandsOf(place, directory ?? emptyDirectory, session, areSingleKeysOn()),
    [place, directory, session],
  )
  const fitting = useMemo(() => fittingCommands(commands, query), [commands, query])

  const run = (command: Command) => {
    onClose()
    if (command.href !== undefined) go(command.href)
    else if (command.kind === 'single-keys') switchSingleKeys(!areSingleKeysOn())
    else if (command.kind === 'sign-out') void signOut()
    // The connection says by itself that it was lost and is back.
    else void api.simulateRestart()
  }

  // An Enter that came ahead of the list takes the first that fits, once, as soon as that is known.
  useEffect(() => {
    if (!isEntered || directory === null) return
    setEntered(false)
    if (fitting[0]) run(fitting[0])
  })

  return (
    <Dialog
      open
      onClose={onClose}
      unmountOnHide
      aria-label="Commands"
      backdrop={<div className="bg-black/40" />}
      className={commandBarCard}
    >
      <ComboboxProvider open value={query} setValue={setQuery} focusLoop={false}>
        <div className="flex items-center gap-3 border-b border-line px-4">
          <Icon name="search" className="size-5 text-muted" />
          <Combobox
            autoSelect="always"
            autoFocus
            onFocus={() => {
              const typed = takeTyped()
              setQuery(known => known + typed.text)
              setEntered(known => known || typed.isEntered)
            }}
            aria-label="Go to an action, a page or a place"
            placeholder="Go to…"
            className="w-full bg-transparent py-3.5 text-base outline-none"
          />
        </div>
        <ComboboxList
          alwaysVisible
          data-pw-command-bar-results=""
          aria-label="Commands"
          className="min-h-0 flex-1 overflow-y-auto p-1.5"
        >
          {fitting.map(command => (
            <ComboboxItem
              key={command.id}
              value={command.id}
              setValueOnClick={false}
              hideOnClick={false}
              onClick={() => run(command)}
              className="flex cursor-pointer scroll-my-1.5 items-center gap-3 rounded-control px-3 py-2 data-[active-item]:bg-accent-soft"
            >
              <Icon name={icons[command.kind]} className="size-4 text-muted" />
              <span className="min-w-0 flex-1 truncate">{command.label}</span>
              <span className="max-w-[45%] truncate text-sm text-muted">{command.hint}</span>
            </ComboboxItem>
          ))}
        </ComboboxList>
        <p role="status" className={fitting.length === 0 ? 'px-5 pb-4 text-muted' : 'sr-only'}>
          {fitting.length === 0 ? 'Nothing fits.' : `${fitting.length} to choose from`}
        </p>
      </ComboboxProvider>
    </Dialog>
  )
}
