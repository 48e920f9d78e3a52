/** What screens are given: the connection, the API, this window's memory, and who is signed in. */
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import type { Directory, Place } from '../clients/wire.js'
import type { Api, Session } from './api.js'
import type { Connection, ConnectionState, RequestError } from './connection.js'
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
  signOut: () => Promise<void>
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

export interface WatchedDirectory {
  /** Null until the first answer. */
  directory: Directory | null
  failure: RequestError | null
}

/** The live list of actions and pages of a place, watched for as long as the caller is on screen. */
export function useDirectory(place: Place): WatchedDirectory {
  const { connection } = useLive()
  const { organization, environment } = place
  const key = `${organization}+${environment}`
  const [watched, setWatched] = useState<WatchedDirectory & { key: string }>({
    key,
    directory: null,
    failure: null,
  })
  useEffect(() => {
    let isOver = false
    const watch = () => {
      connection.request('directory.watch', { organization, environment }).then(
        directory => !isOver && setWatched({ key, directory, failure: null }),
        (failure: RequestError) => !isOver && setWatched({ key, directory: null, failure }),
      )
    }
    const ends = [
      connection.on('directory', data => {
        if (data.organization !== organization || data.environment !== environment) return
        setWatched({ key, directory: data.directory, failure: null })
      }),
      // The subscription ended with the socket that it was made on.
      connection.onOpened(watch),
    ]
    watch()
    return () => {
      isOver = true
      for (const end of ends) end()
      connection.request('directory.unwatch', { organization, environment }).catch(() => undefined)
    }
  }, [connection, organization, environment, key])
  return watched.key === key ? watched : { directory: null, failure: null }
}
