/** What screens are given: the connection, the API, this window's memory, and who is signed in. */
import { createContext, type ReactNode, useCallback, useContext, useSyncExternalStore } from 'react'
import type { Place } from '../clients/wire.js'
import type { Api, Session } from './api.js'
import type { Connection, ConnectionState } from './connection.js'
import type { Directories, WatchedDirectory } from './directories.js'
import type { Encoding } from './encoding.js'
import type { WindowMemory } from './storage.js'

/** Given to everything, signed in or not. */
export interface Services {
  api: Api
  memory: WindowMemory
  encoding: Encoding
  newId: () => string
}

/** Given to everything behind the sign-in. */
export interface Live {
  session: Session
  connection: Connection
  directories: Directories
  signOut: () => Promise<void>
  /** Asks again who is signed in, after something about them or their organizations has changed. */
  refresh: () => Promise<void>
}

const ServicesContext = createContext<Services | null>(null)
const LiveContext = createContext<Live | null>(null)

export function ServicesProvider({ value, children }: { value: Services; children: ReactNode }) {
  return <ServicesContext value={value}>{children}</ServicesContext>
}

export function LiveProvider({ value, children }: { value: Live; children: ReactNode }) {
  return <LiveContext value={value}>{children}</LiveContext>
}

export function useServices(): Services {
  const services = useContext(ServicesContext)
  if (!services) throw new Error('useServices is used outside of ServicesProvider')
  return services
}

export function useLive(): Live {
  const live = useContext(LiveContext)
  if (!live) throw new Error('useLive is used outside of LiveProvider')
  return live
}

export function useConnectionState(connection: Connection): ConnectionState {
  return useSyncExternalStore(connection.onState, () => connection.state)
}

/** The live list of actions and pages of a place, watched for as long as the caller is on screen. */
export function useDirectory(place: Place): WatchedDirectory {
  const { directories } = useLive()
  const { organization, environment } = place
  const subscribe = useCallback(
    (listener: () => void) => directories.subscribe({ organization, environment }, listener),
    [directories, organization, environment],
  )
  return useSyncExternalStore(subscribe, () => directories.state({ organization, environment }))
}
